"""Under an app management policy: lives are fitted before the first call, what is forbidden ends by name."""

from datetime import datetime, timedelta
from typing import Any

import pytest

import handlers.intake
import handlers.rotation
from sso.caller import Caller
from sso.model import Key
from sso.operation import Operation
from tests.stories.hostless import Hostless
from tests.world import request
from vendors.slug import parse_slug

KEY = Key(parse_slug("smarttrace"), "default")
EXEMPTION = "#microsoft.graph.customSecurityAttributeStringValueExemption"
TRUSTED = {
    "customSecurityAttributes": [
        {"@odata.type": EXEMPTION, "id": "Exempt_Apps", "operator": "equals", "value": "trusted"}
    ]
}


def _restriction(kind: str, **changed: Any) -> dict[str, Any]:
    return {"restrictionType": kind, "state": "enabled", "maxLifetime": None, **changed}


async def _policy(hostless: Hostless, name: str, where: str, **credentials: Any) -> None:
    policy = {"displayName": "strict", "isEnabled": True, where: credentials}
    await hostless.world.control("PUT", f"/objects/app_management_policies/{name}", policy)


async def _default(hostless: Hostless, *passwords: dict[str, Any], keys: tuple[dict[str, Any], ...] = ()) -> None:
    """Give the tenant a default policy."""
    restrictions = {"passwordCredentials": list(passwords), "keyCredentials": list(keys)}
    await _policy(hostless, "default", "applicationRestrictions", **restrictions)


async def _onboard(hostless: Hostless, vendor: str = "smarttrace") -> Operation:
    accepted = await hostless.accept(vendor)
    await hostless.run_all()
    return await hostless.operation(accepted.id)


async def _rotate(hostless: Hostless, reason: str = "planned") -> Operation:
    await hostless.pass_time(minutes=1)  # the vault dates versions in whole seconds
    rotation = await handlers.rotation.rotate(
        hostless.tenant, KEY, {"reason": reason}, Caller(None, None), hostless.now
    )
    await hostless.run_all()
    return await hostless.operation(rotation.id)


async def _lives(hostless: Hostless) -> list[int]:
    """The lives of SmartTrace's secrets in whole days, rounded up."""
    passwords = (await hostless.world.application("smarttrace"))["passwordCredentials"]
    spans = [datetime.fromisoformat(p["endDateTime"]) - datetime.fromisoformat(p["startDateTime"]) for p in passwords]
    return [-(-span // timedelta(days=1)) for span in spans]


def _minted(operation: Operation) -> str:
    return next(step.sentence for step in operation.steps if step.step == "mint_secret")


async def test_where_secrets_are_forbidden_nothing_is_written(hostless: Hostless) -> None:
    """An onboarding that needs a secret fails with what to do, before any write; SAML goes on."""
    await _default(hostless, _restriction("passwordAddition"))
    before = await hostless.world.last_call()
    preview = await handlers.intake.preview(hostless.tenant, request("smarttrace"), hostless.now)
    assert preview.steps == ()
    assert any("forbids client secrets" in note for note in preview.notes)
    failed = await _onboard(hostless)
    assert failed.state == "failed"
    assert "forbids client secrets" in failed.reasons[0].detail
    assert [call for call in await hostless.world.writes(before) if "sendMail" not in call["operation"]] == []
    assert (await _onboard(hostless, "thoropass")).handed_off


async def test_an_older_application_is_spared(hostless: Hostless) -> None:
    """A restriction on applications that are created after a day to come leaves this one as it is."""
    await _default(
        hostless, _restriction("passwordAddition", restrictForAppsCreatedAfterDateTime="2099-01-01T00:00:00Z")
    )
    assert (await _onboard(hostless)).handed_off


async def test_a_forbidden_rotation_fails_and_leaves_the_secret_that_is_there(hostless: Hostless) -> None:
    """Where secrets were forbidden since, a rotation fails and removes nothing; exempt it goes through."""
    await _onboard(hostless)
    await hostless.pass_time(days=1)
    await _default(hostless, _restriction("passwordAddition"))
    failed = await _rotate(hostless)
    assert (failed.state, len(await _lives(hostless))) == ("failed", 1)
    assert "forbids client secrets" in failed.reasons[0].detail
    await hostless.pass_time(hours=1)
    application = await hostless.world.application("smarttrace")
    await _policy(hostless, application["id"], "restrictions", passwordCredentials=[], keyCredentials=[])
    rotated = await _rotate(hostless)
    assert rotated.state == "waiting"
    assert await _lives(hostless) == [180, 180]


@pytest.mark.parametrize(
    ("longest", "days", "sentence"),
    [
        ("P180D", 180, "Mint a client secret of 180 days and stage it in the vault."),
        ("P30D", 30, "Mint a client secret of 30 days, the most that the tenant's app management policy allows,"),
    ],
)
async def test_a_secret_lives_as_long_as_is_allowed(hostless: Hostless, longest: str, days: int, sentence: str) -> None:
    """The first addPassword carries the life that the policy leaves, and the plan says so."""
    await _default(hostless, _restriction("passwordLifetime", maxLifetime=longest))
    operation = await _onboard(hostless)
    assert operation.handed_off
    assert _minted(operation).startswith(sentence)
    assert await _lives(hostless) == [days]
    minted = [c for c in await hostless.world.calls() if c["operation"] == "applications.application.addPassword"]
    assert [call["status"] for call in minted] == [200]


async def test_a_shortened_secret_is_renewed_in_time(hostless: Hostless) -> None:
    """A secret of 30 days is not due at once but in the second half of its life, and its successor is as long."""
    await _default(hostless, _restriction("passwordLifetime", maxLifetime="P30D"))
    await _onboard(hostless)
    assert await handlers.rotation.tick(hostless.tenant, hostless.now) == 0
    await hostless.pass_time(days=14)
    assert await handlers.rotation.tick(hostless.tenant, hostless.now) == 0
    await hostless.pass_time(days=1)
    assert await handlers.rotation.tick(hostless.tenant, hostless.now) == 1
    await hostless.run_all()
    assert await handlers.rotation.tick(hostless.tenant, hostless.now) == 0
    assert await _lives(hostless) == [30, 30]


async def test_a_certificate_lives_as_long_as_is_allowed(hostless: Hostless) -> None:
    """A signing certificate is added with the life that the policy leaves, and the plan says so."""
    await _default(hostless, keys=(_restriction("asymmetricKeyLifetime", maxLifetime="P365D"),))
    operation = await _onboard(hostless, "thoropass")
    assert operation.handed_off
    assert any("certificate of 365 days, the most" in step.sentence for step in operation.steps)


async def test_a_refusal_that_comes_all_the_same_is_named(hostless: Hostless) -> None:
    """Where we are not among the exempt, or the policy could not be read, Graph's refusal ends the rotation by name."""
    await _onboard(hostless)
    await hostless.pass_time(days=1)
    await _default(hostless, _restriction("passwordAddition", excludeActors=TRUSTED))
    forbidden = await _rotate(hostless)
    assert forbidden.state == "failed"
    assert "forbids client secrets" in forbidden.reasons[0].detail
    await hostless.pass_time(hours=1)
    await _default(hostless, _restriction("passwordLifetime", maxLifetime="P30D"))
    unread = {"service": "graph", "operation": "policies.GetDefaultAppManagementPolicy", "fault": "refuse", "times": 99}
    await hostless.world.control("PUT", "/faults", [unread])
    too_long = await _rotate(hostless)
    assert too_long.state == "failed"
    assert "only shorter lives" in too_long.reasons[0].detail
    assert await _lives(hostless) == [180]
    await hostless.pass_time(hours=1)
    await hostless.world.control("PUT", "/faults", [])
    assert (await _rotate(hostless)).state == "waiting"
    assert await _lives(hostless) == [180, 30]
