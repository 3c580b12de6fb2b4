"""Reading: every answer has its published shape, lists come in pages, and what is not there is said in words."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from clients.ledger import Ledger, new_operation_id
from sso.model import Key, key_of
from sso.operation import Operation, State
from tests.api.answers import nothing_changes, problem, shaped
from tests.world import VENDORS, World

NOW = datetime.now(UTC)


async def pages(world: World, path: str, shape: str) -> list[list[dict[str, Any]]]:
    """Every page of a list, each in its published shape, by following `next`."""
    found, following = [], path
    while following:
        reply = await world.api("GET", following)
        assert reply.status == 200, reply.text
        shaped(shape, reply.body)
        found.append(reply.body["items"])
        following = (reply.body["next"] or "").removeprefix("/api")
    return found


def operation(age: int, key: Key, state: State) -> Operation:
    """An operation that was accepted some seconds ago and rests."""
    at = NOW - timedelta(seconds=age)
    return Operation(
        id=new_operation_id(at),
        kind="onboarding",
        key=key,
        request={},
        state=state,
        created=at,
        changed=at,
        not_before=NOW + timedelta(days=365),
    )


@pytest.fixture(scope="module")
async def history(quiet: World) -> AsyncIterator[World]:
    """A hundred and twenty operations of two vendors, which were accepted one after another."""
    ledger = Ledger.connect(quiet.state.storage, "", None)  # type: ignore[arg-type]  # no identity beside a connection string
    keys = (key_of("smarttrace", "default"), key_of("clicktime", "default"))
    states: tuple[State, ...] = ("done", "failed", "waiting")
    rows = [operation(age, keys[age % 2], states[age % 3]) for age in range(120)]
    await ledger.add_operation(rows[0])
    await asyncio.gather(*(ledger.add_operation(row) for row in rows[1:]))
    await ledger.close()
    yield quiet
    await quiet.reset()


async def test_operations_come_newest_first_in_pages_of_fifty(history: World) -> None:
    """Following `next` shows every operation once, newest first."""
    found = await pages(history, "/operations", "operations")
    assert [len(page) for page in found] == [50, 50, 20]
    names = [entry["operation"] for page in found for entry in page]
    assert names == sorted(names)
    assert len(set(names)) == 120


@pytest.mark.parametrize(
    ("query", "count"),
    [
        ("state=failed", 40),
        ("vendor=clicktime", 60),
        ("state=done&vendor=smarttrace", 20),
        ("state=accepted", 0),
        ("vendor=thoropass", 0),
    ],
)
async def test_operations_are_filtered_across_pages(history: World, query: str, count: int) -> None:
    """Filters hold on every page, and the page after a filtered one keeps its filter."""
    found = [entry for page in await pages(history, f"/operations?{query}", "operations") for entry in page]
    assert len(found) == count
    wanted = dict(part.split("=") for part in query.split("&"))
    assert all(entry[name] == value for entry in found for name, value in wanted.items())


@pytest.mark.parametrize(
    ("query", "fields"),
    [
        ("state=finished", ["state"]),
        ("state=Done", ["state"]),
        ("vendor=Click%20Time", ["vendor"]),
        ("vendor=a'%20or%20'1'%20eq%20'1", ["vendor"]),
        ("state=x&vendor=../x", ["state", "vendor"]),
    ],
)
async def test_filter_that_means_nothing_is_refused(quiet: World, query: str, fields: list[str]) -> None:
    """A mistyped filter is no empty list: it is refused with what can be asked for."""
    problem(await quiet.api("GET", f"/operations?{query}"), 400, *fields)


@pytest.mark.parametrize("after", ["x' or '1' eq '1", "\u00e9", "9" * 3000])
async def test_place_in_a_list_changes_no_filter(quiet: World, after: str) -> None:
    """Whatever stands in `after`, the answer is a page of operations."""
    reply = await quiet.api("GET", "/operations", params={"after": after})
    assert reply.status == 200, reply.text
    shaped("operations", reply.body)


@pytest.mark.parametrize(
    ("method", "path", "fields"),
    [
        ("GET", "/operations/8204293165571-1a0e91a4", ["operation"]),
        ("GET", "/operations/x'y", ["operation"]),
        ("GET", "/operations/a%23b%3fc", ["operation"]),
        ("GET", f"/operations/{'9' * 1500}", ["operation"]),
        ("POST", "/operations/unknown/replay", ["operation"]),
        ("POST", "/operations/unknown/release", ["operation"]),
        ("GET", "/applications/smarttrace/default", ["instance"]),
        ("GET", "/applications/smartrace/default", ["vendor"]),
        ("GET", "/applications/Smart%20Trace/default", ["instance"]),
        ("GET", "/applications/smarttrace/de--fault", ["instance"]),
        ("POST", "/applications/smarttrace/default/handoffs", ["instance"]),
        ("POST", "/applications/unheard_of/default/handoffs", ["vendor"]),
        ("GET", "/vendors/smartrace", ["vendor"]),
        ("GET", "/vendors/Smart%20Trace", ["vendor"]),
    ],
)
async def test_what_is_not_there_is_said_in_a_problem_document(
    quiet: World, method: str, path: str, fields: list[str]
) -> None:
    """An address that names nothing is 404 with the part that is wrong, and changes nothing."""
    async with nothing_changes(quiet):
        problem(await quiet.api(method, path), 404, *fields)


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("PUT", "/applications/unheard_of/default/parameters", {"Region": "eu"}),
        ("POST", "/applications/unheard_of/default/acknowledgements", {"key_id": "x", "by": "support"}),
        ("POST", "/applications/smarttrace/default/acknowledgements", {"key_id": "x", "by": "support"}),
    ],
)
async def test_application_that_is_not_there_takes_nothing(quiet: World, method: str, path: str, body: Any) -> None:
    """Parameters and acknowledgements of an application that does not exist are 404."""
    async with nothing_changes(quiet):
        problem(await quiet.api(method, path, body), 404)


async def test_catalogue_lists_every_vendor_and_each_is_shown(quiet: World) -> None:
    """The list names the five, and each one tells what a request must supply."""
    (found,) = await pages(quiet, "/vendors", "vendors")
    assert [line["vendor"] for line in found] == sorted(VENDORS)
    for slug in VENDORS:
        reply = await quiet.api("GET", f"/vendors/{slug}")
        assert reply.status == 200, reply.text
        shaped("vendor", reply.body)
    smarttrace = (await quiet.api("GET", "/vendors/smarttrace")).body
    assert smarttrace["parameters"]["InstanceName"]["from"] == "request"


async def test_live_application_has_its_published_shape(quiet: World) -> None:
    """Plan, operation, application and list of one onboarding are each as published, and drift is empty."""
    for vendor, kind in (("smarttrace", "client_secret"), ("clicktime", "signing_certificate")):
        plan = shaped("plan", await quiet.plan(vendor))
        assert plan["steps"]
        operation = shaped("operation", await quiet.onboard(vendor))
        assert operation["state"] == "waiting", operation
        reply = await quiet.api("GET", f"/applications/{vendor}/default")
        application = shaped("application", reply.body)
        assert application["drift"] == []
        assert application["assignments"] == 2
        (credential,) = application["credentials"]
        state = "current" if kind == "client_secret" else "active"
        assert (credential["type"], credential["state"], credential["ours"]) == (kind, state, True)
        assert credential["age_days"] == 0
        assert credential["days_left"] > 100
        assert credential["waiting_for"] == operation["waiting_for"]
        assert application["handoff"]["state"] == "open"
        lines = [line for page in await pages(quiet, "/applications", "applications") for line in page]
        (line,) = [line for line in lines if line["vendor"] == vendor]
        assert line["waiting_for"] == "acknowledgement"
        assert line["client_id"] == application["client_id"]
        assert line["nearest_end"] == application["credentials"][0]["ends"]
        said = {"by": "support by telephone", "note": "ticket 7"}
        named = "key_id" if kind == "client_secret" else "thumbprint"
        recorded = await quiet.api(
            "POST",
            f"/applications/{vendor}/default/acknowledgements",
            {named: application["credentials"][0]["id"].lower(), **said},
        )
        assert recorded.status == 200, recorded.text
        shaped("acknowledgement", recorded.body)
        assert shaped("operation", await quiet.rest(operation["operation"]))["state"] == "done"
        application = shaped("application", (await quiet.api("GET", f"/applications/{vendor}/default")).body)
        assert [c["waiting_for"] for c in application["credentials"]] == [None]


async def test_only_a_failed_or_waiting_operation_is_replayed(quiet: World) -> None:
    """A finished one is 409, with its state."""
    done = next(o for o in (await quiet.api("GET", "/operations?state=done")).body["items"])
    async with nothing_changes(quiet):
        (detail,) = problem(await quiet.api("POST", f"/operations/{done['operation']}/replay"), 409, "operation")
    assert "done" in detail


async def test_applications_come_in_pages_of_a_hundred(quiet: World) -> None:
    """Two hundred and five applications are shown once each, in the order of their keys, in three pages."""
    await quiet.reset()

    async def put(number: int) -> None:
        tags = ["gatehouse", f"gatehouse:hellotracks/i-{number:03d}"]
        body = {"displayName": f"Hellotracks {number}", "appId": f"00000000-0000-4000-8000-{number:012d}", "tags": tags}
        await quiet.control("PUT", f"/objects/applications/10000000-0000-4000-8000-{number:012d}", body)

    for start in range(0, 205, 20):
        await asyncio.gather(*(put(number) for number in range(start, min(start + 20, 205))))
    try:
        found = await pages(quiet, "/applications", "applications")
        assert [len(page) for page in found] == [100, 100, 5]
        assert [line["instance"] for page in found for line in page] == [f"i-{number:03d}" for number in range(205)]
    finally:
        await quiet.reset()
