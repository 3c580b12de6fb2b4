"""A signing certificate is renewed in each of the four ways that vendors take one, and no sign-in is cut."""

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

import handlers.applications
import handlers.handoff
import handlers.rotation
from clients.settings import read_settings
from clients.tenant import Tenant
from sso.caller import Caller
from sso.model import key_of
from sso.operation import Operation
from sso.page import judge
from tests.stories.administrator import graph
from tests.stories.hostless import Hostless
from tests.stories.mails import code_of, codes, handoffs, link_of
from vendors.catalog import Catalog

KEY = key_of("clicktime", "default")


@pytest.fixture
def rolls(hostless: Hostless, tmp_path: Path) -> Callable[[str], Hostless]:
    """A tenant whose ClickTime takes certificates in a mode that the test names."""

    def opened(mode: str) -> Hostless:
        text = (Path(__file__).parents[2] / "vendors" / "clicktime.toml").read_text("utf-8")
        text = text.replace("lifetime_days = 1095", f'lifetime_days = 365\nrollover = "{mode}"')
        if mode.startswith("metadata"):
            text = text.replace('deliver = ["login_url", ', 'deliver = ["metadata_url", "login_url", ')
            text = text.replace("[handoff.fields]", '[handoff.fields]\nmetadata_url = "Metadata"')
        (tmp_path / "clicktime.toml").write_text(text, "utf-8")
        hostless.open(Tenant.connect(read_settings(hostless.settings), Catalog(tmp_path)))
        return hostless

    return opened


async def onboarded(hostless: Hostless) -> str:
    """ClickTime onboarded and acknowledged; returns the thumbprint that signs."""
    await hostless.accept("clicktime")
    await hostless.run_all()
    await acknowledge(hostless)
    return (await signing(hostless))[0]


async def signing(hostless: Hostless) -> tuple[str, list[str]]:
    """The thumbprint that signs, and all that are there."""
    found = await handlers.applications.find(hostless.tenant, KEY, hostless.now)
    held = [entry["id"] for entry in found["credentials"]]
    principal = await hostless.world.service_principal("clicktime")
    return str(principal["preferredTokenSigningKeyThumbprint"]), held


async def acknowledge(hostless: Hostless) -> None:
    """The vendor says by telephone that the newest hand-off is installed."""
    page = (await hostless.tenant.ledger.pages(KEY))[0]
    body = {"thumbprint": page.credential, "by": "support"}
    await handlers.applications.acknowledge(hostless.tenant, KEY, body, hostless.now)
    await hostless.run_all()


async def press(hostless: Hostless, action: str) -> int:
    """Press a button on the newest page; returns the status of the answer."""
    mails = await hostless.world.mailbox()
    token, code = link_of(handoffs(mails)[-1]).rpartition("/")[2], code_of(codes(mails)[-1])
    answer = await handlers.handoff.act(hostless.tenant, token, {"action": action, "code": code}, hostless.now)
    await hostless.run_all()
    return answer.status


async def rotation(hostless: Hostless) -> Operation:
    """The newest rotation."""
    found = await hostless.tenant.ledger.newest_of(KEY, "rotation")
    assert found is not None
    return found


async def due(hostless: Hostless, days: int = 320) -> None:
    """Let time pass until the certificate is due, and the timer find it."""
    await hostless.pass_time(days=days)
    assert await handlers.rotation.tick(hostless.tenant, hostless.now) == 1
    await hostless.run_all()


async def later(hostless: Hostless, **span: float) -> None:
    """Let time pass, and the sweep take up whatever waited for it."""
    await hostless.pass_time(**span)
    await hostless.sweep()


def newest(mails: list[dict[str, Any]]) -> dict[str, Any]:
    """The newest mail with a link."""
    return dict(handoffs(mails)[-1])


async def test_vendor_that_reads_the_metadata_and_keeps_all_needs_do_nothing(rolls: Callable[[str], Hostless]) -> None:
    """`metadata`: added and announced, it signs after two polls, and the old one goes after the overlap by itself."""
    hostless = rolls("metadata")
    old = await onboarded(hostless)
    await due(hostless)
    signs, held = await signing(hostless)
    assert (signs, len(held)) == (old, 2)
    assert "signs from" in newest(await hostless.world.mailbox())["text"]
    await later(hostless, hours=47)
    assert (await signing(hostless))[0] == old
    await later(hostless, hours=2)
    assert (await signing(hostless))[0] != old
    await later(hostless, days=15)
    signs, held = await signing(hostless)
    assert held == [signs]
    assert (await rotation(hostless)).state == "done"


async def test_vendor_that_keeps_one_from_the_metadata_says_when(rolls: Callable[[str], Hostless]) -> None:
    """`metadata_single`: nothing is added until "activate now", which adds, activates and retires in one run."""
    hostless = rolls("metadata_single")
    old = await onboarded(hostless)
    await due(hostless)
    assert await signing(hostless) == (old, [old])
    assert await press(hostless, "acknowledge") == 409
    assert await press(hostless, "activate") == 200
    signs, held = await signing(hostless)
    assert signs != old
    assert held == [signs]
    taken = [step.step for step in (await rotation(hostless)).steps if step.state == "done"]
    assert taken == [
        *("mail_handoff", "mail_code"),
        *("add_certificate", "activate_certificate", "retire_certificate"),
        *("mail_handoff", "mail_code"),
    ]
    assert (await hostless.tenant.ledger.pages(KEY))[0].credential == signs
    assert await press(hostless, "acknowledge") == 200
    assert (await rotation(hostless)).state == "done"


async def test_vendor_that_holds_two_acknowledges_before_it_signs(rolls: Callable[[str], Hostless]) -> None:
    """`several`: the new one is sent, signs once it is acknowledged, and the old one stays for the overlap."""
    hostless = rolls("several")
    old = await onboarded(hostless)
    await due(hostless)
    signs, held = await signing(hostless)
    assert (signs, len(held)) == (old, 2)
    mail = newest(await hostless.world.mailbox())
    assert [file["name"] for file in mail["attachments"]] == ["clicktime-default.cer"]
    assert await press(hostless, "activate") == 409
    assert await press(hostless, "acknowledge") == 200
    signs, held = await signing(hostless)
    assert signs != old
    assert sorted(held) == sorted([signs, old])
    assert (await rotation(hostless)).state == "waiting"
    await later(hostless, days=15)
    assert await signing(hostless) == (signs, [signs])
    assert (await rotation(hostless)).state == "done"


async def test_vendor_with_one_slot_presses_while_it_pastes(rolls: Callable[[str], Hostless]) -> None:
    """`single`: the new one is sent early and signs when "activate now" is pressed; the page is not mailed anew."""
    hostless = rolls("single")
    old = await onboarded(hostless)
    await due(hostless)
    assert (await signing(hostless))[0] == old
    sent = len(await hostless.world.mailbox())
    assert await press(hostless, "acknowledge") == 409
    assert await press(hostless, "activate") == 200
    signs, held = await signing(hostless)
    assert signs != old
    assert sorted(held) == sorted([signs, old])
    assert await press(hostless, "activate") == 200
    assert len(await hostless.world.mailbox()) == sent
    assert await press(hostless, "acknowledge") == 200
    await later(hostless, days=15)
    assert await signing(hostless) == (signs, [signs])
    assert (await rotation(hostless)).state == "done"


async def test_press_is_carried_out_though_its_request_died(rolls: Callable[[str], Hostless]) -> None:
    """A press that was recorded and told to no operation is found by the sweep, once, two minutes later."""
    hostless = rolls("single")
    old = await onboarded(hostless)
    await due(hostless)
    code = code_of(codes(await hostless.world.mailbox())[-1])
    verdict = judge((await hostless.tenant.ledger.pages(KEY))[0], "activate", code, hostless.now)
    assert verdict.page is not None
    await hostless.tenant.ledger.replace_page(verdict.page)  # as a request leaves it that died here
    assert await handlers.handoff.finish_presses(hostless.tenant, hostless.later(seconds=90)) == 0
    assert await handlers.handoff.finish_presses(hostless.tenant, hostless.later(seconds=60)) == 1
    await hostless.run_all()
    assert (await signing(hostless))[0] != old
    assert await handlers.handoff.finish_presses(hostless.tenant, hostless.later(hours=1)) == 0


async def test_silent_vendor_keeps_its_certificate_and_people_are_warned(rolls: Callable[[str], Hostless]) -> None:
    """Nobody answers: reminders each week, one warning 14 days before the end, and the old one signs on."""
    hostless = rolls("single")
    old = await onboarded(hostless)
    await due(hostless)
    seen = len(await hostless.world.mailbox())
    for _ in range(6):
        await later(hostless, days=7, minutes=5)
    subjects = [mail["subject"] for mail in (await hostless.world.mailbox())[seen:]]
    assert sum("Reminder" in subject for subject in subjects) == 6
    assert sum("ends on" in subject for subject in subjects) == 1
    assert (await signing(hostless))[0] == old


async def test_ended_certificate_is_renewed_by_a_press_only(rolls: Callable[[str], Hostless]) -> None:
    """Where the one in use has ended, a new one would sign at once: it is added by "activate now", in every mode."""
    hostless = rolls("several")
    old = await onboarded(hostless)
    await due(hostless, days=366)
    assert await signing(hostless) == (old, [old])
    assert newest(await hostless.world.mailbox())["attachments"] == []
    assert await press(hostless, "activate") == 200
    signs, held = await signing(hostless)
    assert signs != old
    await acknowledge(hostless)
    await later(hostless, days=15)
    assert await signing(hostless) == (signs, [signs])
    assert len(held) == 2


async def test_compromised_certificate_is_replaced_at_once(
    hostless: Hostless, rolls: Callable[[str], Hostless]
) -> None:
    """Where the reason is `compromised`, even the moment after its birth, the new one signs and the old one is gone."""
    hostless.settings["GATEHOUSE_WAIT_SCALE"] = "0.1"  # two that begin in one second could not be told apart
    rolls("single")
    old = await onboarded(hostless)
    await handlers.rotation.rotate(hostless.tenant, KEY, {"reason": "compromised"}, Caller(None, None), hostless.now)
    await hostless.run_all()
    signs, held = await signing(hostless)
    assert signs != old
    assert held == [signs]
    assert (await rotation(hostless)).state == "waiting"


async def test_rollover_under_way_turns_urgent(rolls: Callable[[str], Hostless]) -> None:
    """A rotation that waits for the vendor goes on at once when its certificate turns out to be compromised."""
    hostless = rolls("several")
    old = await onboarded(hostless)
    await due(hostless)
    waiting = await rotation(hostless)
    asked = {"reason": "compromised"}
    same = await handlers.rotation.rotate(hostless.tenant, KEY, asked, Caller(None, None), hostless.now)
    await hostless.run_all()
    assert same.id == waiting.id
    signs, held = await signing(hostless)
    assert signs != old
    assert held == [signs]


@pytest.mark.parametrize("mode", ["metadata_single", "single"])
async def test_repeated_onboarding_leaves_a_rollover_alone(rolls: Callable[[str], Hostless], mode: str) -> None:
    """While a new certificate is announced the same onboarding again writes nothing and mails nobody."""
    hostless = rolls(mode)
    await onboarded(hostless)
    await due(hostless)
    sent, written = len(await hostless.world.mailbox()), len(await hostless.world.writes())
    await hostless.accept("clicktime")
    await hostless.run_all()
    assert len(await hostless.world.mailbox()) == sent
    assert len(await hostless.world.writes()) == written


@pytest.mark.parametrize("ends_first", [False, True])
async def test_certificate_of_somebody_else_stays(rolls: Callable[[str], Hostless], ends_first: bool) -> None:
    """What is not ours is never taken out, and where its end keeps Graph from taking ours out, ours stays as well."""
    hostless = rolls("several")
    old = await onboarded(hostless)
    principal = (await hostless.world.service_principal("clicktime"))["id"]
    ends = hostless.now + timedelta(days=300 if ends_first else 900)
    body = {"displayName": "CN=made by hand", "endDateTime": ends.strftime("%Y-%m-%dT%H:%M:%SZ")}
    foreign = await graph(hostless.world, "POST", f"/servicePrincipals/{principal}/addTokenSigningCertificate", body)
    await due(hostless)
    await acknowledge(hostless)
    await later(hostless, days=15)
    signs, held = await signing(hostless)
    assert signs != old
    expected = {signs, foreign["thumbprint"]} | ({old} if ends_first else set())
    assert set(held) == expected
    assert (await rotation(hostless)).state == "done"
