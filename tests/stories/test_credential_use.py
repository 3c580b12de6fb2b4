"""What a reminder knows: Entra's report of credential use is a hint for people, wherever it may be read."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from sandbox.first_party import DEFAULT_PERMISSIONS
from sso import permissions
from sso.evidence import AFTER_PROOF, hints
from sso.model import KeyId, key_of
from sso.operation import Operation
from tests.stories.hostless import Hostless
from tests.stories.test_reminders import rotating, take_up

KEY = key_of("ilogon_mha", "default")
REPORT = "reports.ListAppCredentialSignInActivity"


async def use(hostless: Hostless, key_id: str) -> None:
    """Request a token with a secret, as whoever holds it does."""
    application = await hostless.world.application("ilogon_mha")
    secret = await hostless.tenant.vault.read_secret(KEY, KeyId(key_id))
    await hostless.tenant.sts.prove_secret(application["appId"], secret)


async def reminder(hostless: Hostless) -> Mapping[str, Any]:
    """The mail of the week after."""
    await hostless.pass_time(days=7, minutes=3)
    count = len(await hostless.world.mailbox())
    await take_up(hostless)
    [mail] = (await hostless.world.mailbox())[count:]
    assert mail["subject"].startswith("Reminder: ")
    return dict(mail)


async def both(hostless: Hostless, operation: Operation) -> tuple[str, str]:
    """The key IDs of the secret that was rotated, and of its successor."""
    old = operation.request["rotation"]["succeeds"]
    passwords = (await hostless.world.application("ilogon_mha"))["passwordCredentials"]
    [new] = [password["keyId"] for password in passwords if password["keyId"] != old]
    return old, new


async def asked(hostless: Hostless) -> int:
    """How often the report was asked for."""
    return sum(call["operation"] == REPORT for call in await hostless.world.calls())


async def test_a_reminder_says_which_secret_was_used(hostless: Hostless) -> None:
    """Two hours after our proof others use both: the reminder gives both days, and the old secret stays."""
    operation = await rotating(hostless, "ilogon_mha")
    old, new = await both(hostless, operation)
    await hostless.pass_time(hours=2)
    await use(hostless, old)
    await use(hostless, new)
    day = f"{hostless.now:%Y-%m-%d}"
    mail = await reminder(hostless)
    for body in (mail["text"], mail["html"]):
        flat = " ".join(body.split())
        assert f"Somebody has signed in with the new secret, last on {day}" in flat
        assert f"The secret before it was still in use on {day}" in flat
    assert await asked(hostless) == 2
    assert (await hostless.operation(operation.id)).state == "waiting"
    assert len((await hostless.world.application("ilogon_mha"))["passwordCredentials"]) == 2


async def test_our_own_proof_is_no_use(hostless: Hostless) -> None:
    """What the report shows within an hour of our proof may be ours: the reminder says nothing of it."""
    old, new = await both(hostless, await rotating(hostless, "ilogon_mha"))
    await hostless.pass_time(minutes=50)
    await use(hostless, old)
    await use(hostless, new)
    assert "report of sign-ins" not in (await reminder(hostless))["text"]
    assert await asked(hostless) == 2


async def test_a_use_that_the_report_does_not_show_yet_is_not_told(hostless: Hostless) -> None:
    """While the report lags the reminder is silent; it never says that a secret was not used."""
    await hostless.world.control("PUT", "/switches", {"report_lag_seconds": 15 * 86_400})
    _, new = await both(hostless, await rotating(hostless, "ilogon_mha"))
    await hostless.pass_time(hours=2)
    await use(hostless, new)
    assert "report of sign-ins" not in (await reminder(hostless))["text"]


@pytest.mark.parametrize("status", [403, 429])
async def test_a_report_that_cannot_be_read_holds_no_reminder_up(hostless: Hostless, status: int) -> None:
    """Not licensed or throttled: it is asked once for each secret, and the reminder goes without it."""
    _, new = await both(hostless, await rotating(hostless, "ilogon_mha"))
    await hostless.pass_time(hours=2)
    await use(hostless, new)
    refusal = {"operation": REPORT, "nth": 1, "fault": "refuse", "status": status, "times": None}
    await hostless.world.control("PUT", "/faults", [{"service": "graph", **refusal}])
    assert "report of sign-ins" not in (await reminder(hostless))["text"]
    assert await asked(hostless) == 2


async def test_without_the_permission_nothing_is_asked(hostless: Hostless) -> None:
    """A token without AuditLog.Read.All is not tried: the reminder goes without the hint."""
    _, new = await both(hostless, await rotating(hostless, "ilogon_mha"))
    await hostless.pass_time(hours=2)
    await use(hostless, new)
    left = [name for name in DEFAULT_PERMISSIONS if name != permissions.REPORTS]
    await hostless.world.control("PUT", "/permissions", left)
    await hostless.close()
    try:
        assert "report of sign-ins" not in (await reminder(hostless))["text"]
    finally:
        await hostless.world.control("PUT", "/permissions", list(DEFAULT_PERMISSIONS))
    assert await asked(hostless) == 0


async def test_another_cloud_has_no_report(hostless: Hostless) -> None:
    """In a government cloud nothing is asked."""
    _, new = await both(hostless, await rotating(hostless, "ilogon_mha"))
    await hostless.pass_time(hours=2)
    await use(hostless, new)
    await hostless.close()
    hostless.settings["GATEHOUSE_CLOUD"] = "usgov"
    assert "report of sign-ins" not in (await reminder(hostless))["text"]
    assert await asked(hostless) == 0


async def test_a_first_handoff_is_reminded_of_with_its_use(hostless: Hostless) -> None:
    """Where there is no secret before it, the new one alone is asked for."""
    await hostless.accept("ilogon_mha", assignments=None)
    await hostless.run_all()
    [secret] = (await hostless.world.application("ilogon_mha"))["passwordCredentials"]
    await hostless.pass_time(hours=2)
    await use(hostless, secret["keyId"])
    assert "Somebody has signed in with the new secret" in " ".join((await reminder(hostless))["text"].split())
    assert await asked(hostless) == 1


def test_what_counts_begins_an_hour_after_the_proof() -> None:
    """The hour itself counts, a second less does not; what was never used is not spoken of."""
    proved = datetime(2027, 3, 1, 12, tzinfo=UTC)
    early = proved + AFTER_PROOF - timedelta(seconds=1)
    assert hints(None, None, proved) == ()
    assert hints(early, early, proved) == ()
    assert len(hints(proved + AFTER_PROOF, early, proved)) == 1
    assert len(hints(None, proved + AFTER_PROOF, proved)) == 1
