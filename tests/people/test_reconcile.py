"""Reconciling in a running tenant: mended where a profile is authoritative, told elsewhere, and each of it once."""

import asyncio
import shutil
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

import handlers.entitlements
import handlers.offboarding
import handlers.operations
import handlers.reconcile
import handlers.summary
import handlers.webhooks
from clients.ledger import new_operation_id
from clients.settings import read_settings
from clients.tenant import Tenant
from sso.caller import Caller
from sso.model import Key, key_of
from sso.operation import Operation, opened
from tests.people.hr_system import delivery, event, keep_keys
from tests.stories.hostless import Hostless
from vendors.catalog import Catalog

CLONE = Path(__file__).parents[2]
RULES = """
[[rules]]
when = { department = "Astronomy" }
grant = [{ vendor = "clicktime" }, { vendor = "hellotracks" }]
grace_days = 14

[[rules]]
when = { groups = "Identity Team" }
grant = [{ vendor = "clicktime" }]
"""
UNASKED = '[[rules]]\nwhen = { employeeType = "Contractor" }\ngrant = [{ vendor = "clicktime" }]\n'
GRACE = timedelta(days=14)
CLICKTIME, HELLOTRACKS = key_of("clicktime", "default"), key_of("hellotracks", "default")
KINDS = ("applications", "service_principals", "grants", "assignments")
OURS: dict[str, list[dict[str, Any]]] = {}  # what the onboardings made, once for this file


@pytest.fixture(scope="module")
def vendors(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The catalogue, with a ClickTime whose profile is authoritative."""
    folder = tmp_path_factory.mktemp("catalogue") / "vendors"
    shutil.copytree(CLONE / "vendors", folder)
    file = folder / "clicktime.toml"
    text = file.read_text(encoding="utf-8").replace("[people]\n", "[people]\nauthoritative = true\n")
    file.write_text(text, encoding="utf-8")
    return folder


@pytest.fixture
async def ours(hostless: Hostless, vendors: Path, tmp_path: Path) -> Hostless:
    """ClickTime and Hellotracks, held by B.Simon, to whom no rule gives them; Helpdesk lacks what rules give."""
    (tmp_path / "entitlements.toml").write_text(RULES, encoding="utf-8")
    hostless.settings["GATEHOUSE_ENTITLEMENTS"] = str(tmp_path / "entitlements.toml")
    _open(hostless, vendors)
    await keep_keys(hostless.tenant)
    for kind, objects in OURS.items():
        for one in objects:
            await hostless.world.control("PUT", f"/objects/{kind}/{one['id']}", one)
    if not OURS:
        for vendor in ("clicktime", "hellotracks"):
            users = ["b.simon@contoso.com", *(["app-owner@contoso.com"] if vendor == "clicktime" else [])]
            await hostless.accept(vendor, assignments={"users": users})
        await hostless.run_all()
        dump = await hostless.world.dump()
        OURS.update({kind: dump[kind] for kind in KINDS})
    await set_user(hostless, "helpdesk", department="Astronomy")
    return hostless


def _open(hostless: Hostless, vendors: Path) -> None:
    hostless.open(Tenant.connect(read_settings(hostless.settings), Catalog(vendors)))


async def reopened(hostless: Hostless, vendors: Path, **settings: str) -> None:
    """The same tenant, with other settings."""
    await hostless.close()
    hostless.settings |= settings
    _open(hostless, vendors)


async def user(hostless: Hostless, name: str) -> dict[str, Any]:
    """Somebody of contoso.com."""
    users = (await hostless.world.dump())["users"]
    return dict(next(one for one in users if one["userPrincipalName"] == f"{name}@contoso.com"))


async def set_user(hostless: Hostless, name: str, **changes: Any) -> None:
    """Change somebody in the directory, as a synchronisation does."""
    await hostless.world.control("PUT", f"/objects/users/{(await user(hostless, name))['id']}", changes)


async def held(hostless: Hostless, name: str) -> set[str]:
    """The applications to which somebody is assigned."""
    somebody, dump = (await user(hostless, name))["id"], await hostless.world.dump()
    return {one["resourceDisplayName"] for one in dump["assignments"] if one["principalId"] == somebody}


async def changes(hostless: Hostless, since: int) -> list[str]:
    """The assignments that were made or taken, by method."""
    writes = await hostless.world.writes(since)
    return sorted(one["method"] for one in writes if "approleassigned" in one["operation"].lower())


async def reconcile(hostless: Hostless) -> Operation:
    """Let the timer come, and everything that follows; returns the round."""
    await handlers.reconcile.begin(hostless.tenant, hostless.now)
    await hostless.run_all()
    found = await hostless.tenant.ledger.newest_of(None, "reconcile")
    assert found
    return found


async def newest(hostless: Hostless, key: Key) -> Operation:
    """The newest operation that reconciled an application."""
    found = await hostless.tenant.ledger.newest_of(key, "reconcile")
    assert found
    return found


def told(operation: Operation) -> list[str]:
    """What an operation says of what stays."""
    return [reason.detail for reason in operation.reasons]


async def subjects(hostless: Hostless, word: str) -> list[dict[str, Any]]:
    """The mails whose subject has a word."""
    return [mail for mail in await hostless.world.mailbox() if word in mail["subject"]]


async def test_access_is_mended_where_the_profile_says_so_and_told_elsewhere(ours: Hostless) -> None:
    """What is missing is given, what no rule gives goes after its grace, and the same is told once."""
    began = await ours.world.last_call()
    round_ = await reconcile(ours)
    assert (round_.state, told(round_)) == (
        "done",
        ["Compared 2 applications; something new differs on 2: clicktime/default, hellotracks/default."],
    )
    assert await changes(ours, began) == ["POST"]
    assert (await held(ours, "helpdesk"), await held(ours, "b.simon")) == ({"ClickTime"}, {"ClickTime", "Hellotracks"})
    mended, kept = await newest(ours, CLICKTIME), await newest(ours, HELLOTRACKS)
    assert (mended.state, kept.state) == ("done", "done")
    assert [step.sentence for step in mended.steps] == [
        "Astronomy: clicktime by rule 1.",
        "Tell the owner of clicktime/default whom to add there.",
    ]
    day = f"{ours.now + GRACE:%Y-%m-%d}"
    assert told(mended) == [
        f"clicktime/User stays until {day} with 1 person to whom no rule gives it any more: B.Simon."
    ]
    assert told(kept) == [
        "Rules give hellotracks to 1 person without it: Helpdesk.",
        "No rule gives hellotracks to 1 person with it: B.Simon.",
    ]
    (mail,) = await subjects(ours, "a person to add")
    assert "full name: Helpdesk" in mail["text"]

    assert await handlers.summary.send(ours.tenant, ours.now)
    (summary,) = await subjects(ours, "Gatehouse on ")
    assert f"clicktime/default: reconcile {mended.id}: given to 1, 1 differences stay as they are." in summary["text"]
    assert "Helpdesk" not in summary["text"]

    ours.later(days=1)
    quiet = await ours.world.last_call()
    assert told(await reconcile(ours)) == ["Compared 2 applications; something new differs on 0."]
    assert await ours.world.writes(quiet) == []
    assert (await newest(ours, CLICKTIME)).id == mended.id
    assert (await newest(ours, HELLOTRACKS)).id == kept.id

    ours.later(days=13, minutes=1)
    await reconcile(ours)
    assert (await held(ours, "helpdesk"), await held(ours, "b.simon")) == ({"ClickTime"}, {"Hellotracks"})
    ended = await newest(ours, CLICKTIME)
    assert [step.sentence for step in ended.steps] == [
        "Loses clicktime/User: no rule gives it any more.",
        "Ask the owner of clicktime/default to remove the accounts there.",
    ]
    assert (ended.state, told(ended)) == ("done", [])
    assert len(await subjects(ours, "please remove an account")) == 1


async def test_whatever_comes_twice_or_is_lost_opens_each_mend_once(ours: Hostless) -> None:
    """Two timers open one round, each message twice changes nothing twice, and a message that is lost is sent again."""
    before = await ours.world.last_call()
    begun = await asyncio.gather(*(handlers.reconcile.begin(ours.tenant, ours.now) for _ in range(3)))
    assert sorted(begun) == [False, False, True]
    messages = await ours.take()
    assert len({message.operation for message in messages}) == 1
    for message in messages:
        await ours.run(message)
    lost = await ours.take()  # of both applications: whoever took them died
    assert {message.operation for message in lost} == {(await newest(ours, k)).id for k in (CLICKTIME, HELLOTRACKS)}
    assert await changes(ours, before) == []
    ours.later(minutes=3)
    await handlers.operations.sweep(ours.tenant, ours.now)
    works = [work for work in await ours.take() for _ in range(2)]
    await asyncio.gather(*(handlers.reconcile.run(ours.tenant, work.operation, ours.now) for work in works))
    batch = [work for work in await ours.take() if work.batch is not None]
    assert len({(work.operation, work.batch) for work in batch}) == 1
    assert await changes(ours, before) == []  # and the batch's message is lost as well
    ours.later(minutes=5)
    await ours.sweep()
    assert await changes(ours, before) == ["POST"]
    assert await held(ours, "helpdesk") == {"ClickTime"}
    operations, _ = await ours.tenant.ledger.operations()
    assert [one.state for one in operations if one.kind == "reconcile"] == ["done"] * 3
    assert len(await subjects(ours, "a person to add")) == 1


async def test_what_an_event_says_and_whom_nothing_touches(ours: Hostless, vendors: Path) -> None:
    """A mover keeps what a grace keeps and no longer, and is given nothing back; the excluded are not touched."""
    await reconcile(ours)
    assert await held(ours, "helpdesk") == {"ClickTime"}
    ours.later(days=1)
    group = next(g["id"] for g in (await ours.world.dump())["groups"] if g["displayName"] == "Sales")
    await reopened(ours, vendors, GATEHOUSE_EXCLUDED_GROUP=group)  # B.Simon is a member
    moves = event("mover", ours.now, "helpdesk@contoso.com", attributes={"department": "Legal"})
    await handlers.webhooks.accept(ours.tenant, delivery(moves, ours.now, "moves"), None, ours.now)
    await ours.run_all()
    began = await ours.world.last_call()
    ours.later(days=13)
    await reconcile(ours)
    assert await changes(ours, began) == []
    assert await held(ours, "helpdesk") == {"ClickTime"}
    assert await held(ours, "b.simon") == {"ClickTime", "Hellotracks"}
    preview = await handlers.entitlements.preview(ours.tenant, {"person": "helpdesk@contoso.com"}, ours.now)
    assert preview["items"][0]["entitled"] == []  # as the event says, whatever the directory says
    ours.later(days=1, minutes=3)
    await reconcile(ours)
    assert await held(ours, "helpdesk") == set()
    assert await held(ours, "b.simon") == {"ClickTime", "Hellotracks"}


async def test_too_much_at_once_waits_and_is_looked_at_again(ours: Hostless, vendors: Path, tmp_path: Path) -> None:
    """Above the brake nothing is taken; once released only what is then without a rule goes."""
    await reconcile(ours)
    await reopened(ours, vendors, GATEHOUSE_BRAKE_FLOOR="1", GATEHOUSE_BRAKE_SHARE="0")
    file = tmp_path / "entitlements.toml"
    file.write_text(RULES.replace('"Astronomy"', '"Geology"').replace("grace_days = 14\n", ""), encoding="utf-8")
    await set_user(ours, "gatehouse", department="Geology")
    began = await ours.world.last_call()
    ours.later(days=1)
    await reconcile(ours)
    stopped = await newest(ours, CLICKTIME)
    assert stopped.waiting_for is not None
    assert (stopped.state, stopped.waiting_for.what) == ("waiting", "release")
    assert await changes(ours, began) == ["POST"]  # who gets it is not held up
    assert await held(ours, "gatehouse") == {"ClickTime"}
    assert await held(ours, "helpdesk") == {"ClickTime"}
    ours.later(days=1)
    await reconcile(ours)
    assert (await newest(ours, CLICKTIME)).id == stopped.id
    assert len(await subjects(ours, "stopped")) == 1
    await set_user(ours, "helpdesk", department="Geology")
    await handlers.operations.release(ours.tenant, stopped.id)
    await ours.run_all()
    assert await changes(ours, began) == ["DELETE", "POST"]
    assert (await held(ours, "helpdesk"), await held(ours, "b.simon")) == ({"ClickTime"}, {"Hellotracks"})
    assert (await newest(ours, CLICKTIME)).state == "done"


@pytest.mark.parametrize(
    ("rules", "why"),
    [(None, "cannot be read"), ("[[rules]]", "must mend it"), (UNASKED, "none has employeeType")],
)
async def test_rules_or_a_directory_that_say_nothing_take_nothing(
    ours: Hostless, tmp_path: Path, rules: str | None, why: str
) -> None:
    """Without a readable file, or with nobody of whom the directory says what rules ask, the operators learn why."""
    file = tmp_path / "entitlements.toml"
    if rules is None:
        file.unlink()
    else:
        file.write_text(rules, encoding="utf-8")
    before = await ours.world.last_call()
    failed = await reconcile(ours)
    assert failed.state == "failed"
    assert why in failed.reasons[0].detail
    assert await ours.world.writes(before) == []
    assert await handlers.summary.send(ours.tenant, ours.now)
    (summary,) = await subjects(ours, "Gatehouse on ")
    assert f"reconcile {failed.id} failed on" in summary["text"]


async def test_deployment_without_rules_is_told_only_where_a_profile_asks_for_them(
    ours: Hostless, vendors: Path
) -> None:
    """Where no profile is authoritative a deployment needs no rules; where one is, their lack is a failure."""
    await reopened(ours, vendors, GATEHOUSE_ENTITLEMENTS="")
    failed = await reconcile(ours)
    assert failed.state == "failed"
    assert "set GATEHOUSE_ENTITLEMENTS" in failed.reasons[0].detail
    await reopened(ours, CLONE / "vendors")
    ours.later(days=1)
    assert (await reconcile(ours)).state == "done"


async def test_mend_that_is_refused_is_told_and_tried_the_next_night(ours: Hostless) -> None:
    """What Graph refuses fails the operation with its reason, mails nobody, and is tried with the next round."""
    refusal = {"operation": "servicePrincipals.CreateAppRoleAssignedTo", "fault": "refuse"}
    await ours.world.control("PUT", "/faults", [{**refusal, "status": 403, "times": None}])
    mails = len(await ours.world.mailbox())
    await reconcile(ours)
    failed = await newest(ours, CLICKTIME)
    assert failed.state == "failed"
    assert failed.reasons[0].detail.startswith("Helpdesk (")
    assert [step.state for step in failed.steps] == ["failed"]
    assert len(await ours.world.mailbox()) == mails
    await ours.world.control("PUT", "/faults", [])
    ours.later(days=1)
    await reconcile(ours)
    assert (await newest(ours, CLICKTIME)).state == "done"
    assert await held(ours, "helpdesk") == {"ClickTime"}


async def test_application_that_is_gone_meanwhile_is_left_alone(ours: Hostless) -> None:
    """One that is offboarded, or is not there, by the time its operation looks again ends it with nothing changed."""
    await handlers.reconcile.begin(ours.tenant, ours.now)
    for message in await ours.take():
        await ours.run(message)
    await handlers.offboarding.accept(ours.tenant, CLICKTIME, Caller(None, None), ours.now)
    (offboarding,) = [message for message in await ours.take() if message.queue == "onboardings"]
    await ours.run(offboarding)
    gone = opened(new_operation_id(ours.now), "reconcile", key_of("thoropass", "default"), {"told": ""}, ours.now)
    await ours.tenant.ledger.add_operation(gone)
    began = await ours.world.last_call()
    for key in (CLICKTIME, key_of("thoropass", "default")):
        await handlers.reconcile.run(ours.tenant, (await newest(ours, key)).id, ours.now)
        assert told(await newest(ours, key)) == ["The application is not there any more, or is offboarded."]
    assert await changes(ours, began) == []


async def test_people_are_read_in_pages(ours: Hostless) -> None:
    """A look at everybody costs a handful of calls, however many people the directory has."""
    await reconcile(ours)
    ours.later(days=1)
    before = await ours.world.last_call()
    await reconcile(ours)
    calls = [call for call in await ours.world.calls(before) if call["service"] == "graph"]
    assert len(calls) <= 12, [call["operation"] for call in calls]
