"""The fault plan: the n-th call of an operation meets what was planned for it, and the record shows it."""

import asyncio
from typing import Any

import aiohttp
import pytest

from sandbox.unkind.gate import Passage
from tests.sandbox.conftest import Contoso

CREATE = "applications.application_CreateApplication"
LIST = "applications.application_ListApplication"
PORTAL = {"displayName": "Portal"}


async def _plan(contoso: Contoso, *faults: dict[str, Any]) -> None:
    reply = await contoso.control("PUT", "/faults", list(faults))
    assert reply.status == 200, reply.body


async def _calls(contoso: Contoso, operation: str) -> list[dict[str, Any]]:
    calls = (await contoso.control("GET", "/calls")).body
    return [call for call in calls if call["operation"] == operation]


async def _seen(contoso: Contoso, *, parked: bool) -> dict[str, Any]:
    """Wait until the call that creates is in the record, parked or answered."""
    async with asyncio.timeout(20):
        while True:
            found = await _calls(contoso, CREATE)
            if found and (found[0]["status"] is None) == parked:
                return found[0]
            await asyncio.sleep(0)


async def _applications(contoso: Contoso) -> list[str]:
    return [each["displayName"] for each in (await contoso.control("GET", "/dump")).body["applications"]]


@pytest.mark.parametrize(
    ("fault", "status", "made"),
    [
        ({"fault": "refuse"}, 403, False),
        ({"fault": "throttle"}, 429, False),
        ({"fault": "unavailable", "status": 504}, 504, False),
        ({"fault": "lose_answer", "status": 504}, 504, True),
        ({"fault": "delay", "seconds": 0.01}, 201, True),
    ],
)
async def test_only_the_named_call_meets_its_fault(
    sandbox_tenant: Contoso, fault: dict[str, Any], status: int, made: bool
) -> None:
    """The second call meets the fault, with or without an effect; the first and the third do not."""
    await _plan(sandbox_tenant, {"operation": CREATE, "nth": 2, **fault})
    bodies = [{"displayName": name} for name in ("one", "two", "three")]
    statuses = [(await sandbox_tenant.graph("POST", "/applications", body)).status for body in bodies]
    assert statuses == [201, status, 201]
    assert ("two" in await _applications(sandbox_tenant)) == made
    told = (await sandbox_tenant.control("GET", "/faults")).body
    assert [hit["fault"] for hit in told["hits"]] == [fault["fault"]]
    assert told["seed"] == 1
    assert (await sandbox_tenant.control("GET", "/faults?since=1")).body["hits"] == []


async def test_a_lost_answer_may_be_a_cut_connection(sandbox_tenant: Contoso) -> None:
    """A lost answer without a status cuts the connection, and the record tells the status of the effect."""
    await _plan(sandbox_tenant, {"operation": CREATE, "fault": "lose_answer"})
    with pytest.raises(aiohttp.ClientError):
        await sandbox_tenant.graph("POST", "/applications", PORTAL)
    assert await _applications(sandbox_tenant) == ["Portal"]
    (call,) = await _calls(sandbox_tenant, CREATE)
    assert (call["status"], call["fault"], call["effect"]) == (504, "lose_answer", 201)


@pytest.mark.parametrize("when", ["before", "after"])
async def test_a_held_call_waits_for_the_next_plan(sandbox_tenant: Contoso, when: str) -> None:
    """A held call shows itself without a status, before or after its effect, and goes on with the next plan."""
    await _plan(sandbox_tenant, {"operation": CREATE, "fault": "hold", "when": when})
    held = asyncio.create_task(sandbox_tenant.graph("POST", "/applications", PORTAL))
    await _seen(sandbox_tenant, parked=True)
    assert await _applications(sandbox_tenant) == (["Portal"] if when == "after" else [])
    await _plan(sandbox_tenant)
    assert (await held).status == 201
    assert [call["status"] for call in await _calls(sandbox_tenant, CREATE)] == [201]


async def test_a_call_whose_caller_died_before_it_is_never_made(sandbox_tenant: Contoso) -> None:
    """A caller that hangs up while its call is held before the effect has not made the call."""
    await _plan(sandbox_tenant, {"operation": CREATE, "fault": "hold"})
    graph = sandbox_tenant.tenant.urls.graph
    headers = {"Authorization": f"Bearer {sandbox_tenant.token(audience=graph)}"}
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=sandbox_tenant.tls)) as doomed:
        call = asyncio.create_task(doomed.post(f"{graph}/v1.0/applications", json=PORTAL, headers=headers))
        await _seen(sandbox_tenant, parked=True)
        call.cancel()
        await asyncio.gather(call, return_exceptions=True)
    await asyncio.sleep(0.05)  # until the server has seen the connection's end
    await _plan(sandbox_tenant)
    await _seen(sandbox_tenant, parked=False)
    assert await _applications(sandbox_tenant) == []


async def test_an_item_of_a_batch_meets_its_own_fault(sandbox_tenant: Contoso) -> None:
    """The plan counts a batch's items as the record shows them, and the others pass."""
    await _plan(sandbox_tenant, {"operation": CREATE, "nth": 2, "fault": "throttle", "retry_after": 7})
    items = [
        {
            "id": str(place),
            "method": "POST",
            "url": "/applications",
            "headers": {"Content-Type": "application/json"},
            "body": {"displayName": f"Portal {place}"},
        }
        for place in range(3)
    ]
    reply = await sandbox_tenant.graph("POST", "/$batch", {"requests": items})
    answers = {each["id"]: each for each in reply.body["responses"]}
    assert [answers[str(place)]["status"] for place in range(3)] == [201, 429, 201]
    assert answers["1"]["headers"]["Retry-After"] == "7"


@pytest.mark.parametrize("times", [2, None])
async def test_a_fault_may_last(sandbox_tenant: Contoso, times: int | None) -> None:
    """`times` says how many calls in a row meet the fault, null that all do from then on; `*` is any operation."""
    await _plan(sandbox_tenant, {"operation": "*", "nth": 2, "times": times, "fault": "unavailable"})
    statuses = [(await sandbox_tenant.graph("GET", "/applications")).status for _ in range(4)]
    assert statuses == ([200, 503, 503, 200] if times else [200, 503, 503, 503])


@pytest.mark.parametrize(
    "plan",
    [
        {"operation": CREATE},
        [{"operation": CREATE}],
        [{"fault": "hold"}],
        [{"operation": CREATE, "fault": "burn"}],
        [{"operation": CREATE, "fault": "hold", "nth": 0}],
        [{"operation": CREATE, "fault": "hold", "when": "during"}],
        [{"operation": CREATE, "fault": "throttle", "retry_after": "soon"}],
        [{"operation": CREATE, "fault": "hold", "service": "moon"}],
        [{"operation": CREATE, "fault": "hold", "colour": "red"}],
    ],
)
async def test_a_bad_plan_is_refused_whole(sandbox_tenant: Contoso, plan: Any) -> None:
    """A plan with a mistake is 400 with a sentence, and the plan before it stays."""
    await _plan(sandbox_tenant, {"operation": LIST, "fault": "unavailable"})
    assert (await sandbox_tenant.control("PUT", "/faults", plan)).status == 400
    assert len((await sandbox_tenant.control("GET", "/faults")).body["plan"]) == 1


@pytest.mark.parametrize("form", [3, "date:3", None])
async def test_a_throttled_call_is_told_when_to_come_back(sandbox_tenant: Contoso, form: int | str | None) -> None:
    """429 carries Retry-After as seconds, as an HTTP date or not at all; coming earlier is noted."""
    await _plan(sandbox_tenant, {"operation": LIST, "fault": "throttle", "retry_after": form})
    first = await sandbox_tenant.graph("GET", "/applications")
    assert first.status == 429
    given = first.headers.get("Retry-After")
    assert given is None if form is None else (given == "3" if form == 3 else str(given).endswith("GMT"))
    await sandbox_tenant.graph("GET", "/applications")
    impatient = (await sandbox_tenant.control("GET", "/faults")).body["impatient"]
    assert [each["operation"] for each in impatient] == ([] if form is None else [LIST])


async def test_draws_depend_on_the_call_and_not_on_its_neighbours(sandbox_tenant: Contoso) -> None:
    """Whatever comes between, the n-th call of one key meets the same drawn faults."""
    tenant = sandbox_tenant.tenant

    def passage(key: str) -> Passage:
        return Passage("graph", LIST, key, "", is_random=True, park=lambda: None, is_gone=lambda: False)

    async def statuses(*noise: str) -> list[str]:
        await tenant.reset()
        await sandbox_tenant.control("PUT", "/switches", {"throttle_share": 0.5, "lost_answer_share": 0.2})
        for key in ("here", *noise, "here", *noise, "here", *noise, "here"):
            await asyncio.gather(tenant.gate.through(passage(key), _nothing), return_exceptions=True)
        return [hit["fault"] for hit in tenant.gate.hits if hit["key"] == "here"]

    alone = await statuses()
    assert alone
    assert alone == await statuses("there", "elsewhere")


async def _nothing() -> None:
    pass


async def test_a_batch_may_be_half_applied(sandbox_tenant: Contoso) -> None:
    """A batch whose answer is lost on the way may have had the effect of its first items alone."""
    await sandbox_tenant.control("PUT", "/switches", {"lost_answer_share": 1})
    await sandbox_tenant.control("PUT", "/faults", [])
    made = []
    for round_ in range(8):
        items = [
            {
                "id": str(place),
                "method": "POST",
                "url": "/applications",
                "headers": {"Content-Type": "application/json"},
                "body": {"displayName": f"Portal {round_}"},
            }
            for place in range(5)
        ]
        try:
            reply = await sandbox_tenant.graph("POST", "/$batch", {"requests": items})
        except aiohttp.ClientError:
            pass
        else:
            assert reply.status == 504
        made.append((await _applications(sandbox_tenant)).count(f"Portal {round_}"))
    assert 5 in made
    assert any(0 < count < 5 for count in made)
