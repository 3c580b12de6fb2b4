"""Without one permission: each story that needs it stops before its first write and says so; the others pass."""

import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

import handlers.onboarding
from sandbox.first_party import DEFAULT_PERMISSIONS
from sso import permissions
from sso.errors import TenantError
from tests.stories.hostless import Hostless

KINDS = ("thoropass", "smarttrace", "hellotracks")  # SAML, OpenID Connect from the gallery, ordinary registration
README = Path(__file__).parents[2] / "README.md"


@pytest.fixture
async def lacking(hostless: Hostless) -> AsyncIterator[Hostless]:
    """A tenant whose identity asks for a new token with each call, so that a permission shows at once."""
    await hostless.world.control("PUT", "/switches", {"token_seconds": 120})
    yield hostless
    await hostless.world.control("PUT", "/permissions", list(DEFAULT_PERMISSIONS))


async def _without(hostless: Hostless, permission: str) -> None:
    await hostless.close()  # the tokens so far
    left = [name for name in DEFAULT_PERMISSIONS if name != permission]
    await hostless.world.control("PUT", "/permissions", left)


async def _with_all(hostless: Hostless) -> None:
    await hostless.close()
    await hostless.world.control("PUT", "/permissions", list(DEFAULT_PERMISSIONS))


def _is_told(permission: str, detail: str) -> bool:
    return permission in detail and "New-MgServicePrincipalAppRoleAssignment" in detail


def test_the_documented_list_is_what_the_stories_use() -> None:
    """README's table names the permissions that the code uses, and no other."""
    table = README.read_text(encoding="utf-8").split("## Permissions", maxsplit=1)[1].split("\n## ", maxsplit=1)[0]
    assert set(re.findall(r"^\| `([\w.]+)` \|", table, re.MULTILINE)) == set(permissions.USES)
    assert set(permissions.USES) == set(DEFAULT_PERMISSIONS)


@pytest.mark.parametrize("vendor", KINDS)
async def test_without_applications_a_request_is_refused_at_once(lacking: Hostless, vendor: str) -> None:
    """A request that cannot even be checked is refused with the permission and where to grant it."""
    await _without(lacking, permissions.APPLICATIONS)
    before = await lacking.world.last_call()
    with pytest.raises(TenantError) as refused:
        await lacking.accept(vendor)
    assert _is_told(permissions.APPLICATIONS, refused.value.reasons[0].detail)
    assert await lacking.world.writes(before) == []


@pytest.mark.parametrize("permission", [permissions.APPLICATIONS, permissions.ASSIGNMENTS, permissions.POLICIES])
@pytest.mark.parametrize("vendor", KINDS)
async def test_a_story_that_writes_waits_before_its_first_write(
    lacking: Hostless, permission: str, vendor: str
) -> None:
    """The operation waits for the permission, named with where to grant it, and neither tenant nor vault was written.

    Once it is granted the same operation goes on to its hand-off.
    """
    accepted = await lacking.accept(vendor)
    await _without(lacking, permission)
    before = await lacking.world.last_call()
    await lacking.run_all()
    stopped = await lacking.operation(accepted.id)
    assert stopped.waiting_for is not None
    assert stopped.waiting_for.what == "permission"
    (reason,) = stopped.reasons
    assert _is_told(permission, reason.detail)
    assert await lacking.world.writes(before) == []
    await _with_all(lacking)
    lacking.later(hours=2)
    await handlers.onboarding.run(lacking.tenant, accepted.id, lacking.now)
    assert (await lacking.operation(accepted.id)).handed_off


async def test_a_story_without_people_needs_no_permission_to_assign(lacking: Hostless) -> None:
    """An onboarding that assigns nobody goes through without the permission to assign."""
    await _without(lacking, permissions.ASSIGNMENTS)
    accepted = await lacking.accept("hellotracks", assignments=None)
    await lacking.run_all()
    assert (await lacking.operation(accepted.id)).handed_off


async def test_a_story_that_makes_no_credential_needs_no_policy(lacking: Hostless) -> None:
    """An application whose secret is there can be looked at, and given to more people, without reading policies."""
    await lacking.accept("smarttrace", assignments=None)
    await lacking.run_all()
    await _without(lacking, permissions.POLICIES)
    accepted = await lacking.accept("smarttrace", assignments={"users": ["b.simon@contoso.com"]})
    await lacking.run_all()
    assert (await lacking.operation(accepted.id)).handed_off


@pytest.mark.parametrize("vendor", ["smarttrace", "hellotracks"])
async def test_without_consent_an_administrator_is_asked(lacking: Hostless, vendor: str) -> None:
    """The operation waits for consent, and the owner gets the address where an administrator gives it."""
    await _without(lacking, permissions.CONSENT)
    accepted = await lacking.accept(vendor)
    await lacking.run_all()
    waiting = (await lacking.operation(accepted.id)).waiting_for
    assert waiting is not None
    assert waiting.what == "consent"
    assert "/adminconsent?" in "".join(mail["text"] for mail in await lacking.world.mailbox())


async def test_saml_needs_no_consent(lacking: Hostless) -> None:
    """A SAML story goes through without the permission to consent."""
    await _without(lacking, permissions.CONSENT)
    accepted = await lacking.accept("thoropass")
    await lacking.run_all()
    assert (await lacking.operation(accepted.id)).handed_off


@pytest.mark.parametrize("vendor", KINDS)
async def test_without_mail_both_ways_to_grant_it_are_named(lacking: Hostless, vendor: str) -> None:
    """The operation waits at its mail, and the reason names the Graph permission and the grant in Exchange."""
    await _without(lacking, permissions.MAIL)
    accepted = await lacking.accept(vendor)
    await lacking.run_all()
    stopped = await lacking.operation(accepted.id)
    assert stopped.waiting_for is not None
    assert stopped.waiting_for.what == "permission"
    (reason,) = stopped.reasons
    assert _is_told(permissions.MAIL, reason.detail)
    assert "Exchange" in reason.detail


async def test_a_grant_in_exchange_is_enough_to_mail(lacking: Hostless) -> None:
    """With a grant in Exchange for the one mailbox the story goes through without Mail.Send in the token."""
    await lacking.world.control("PUT", "/switches", {"exchange_mail_scope": "gatehouse@contoso.com"})
    await _without(lacking, permissions.MAIL)
    accepted = await lacking.accept("hellotracks")
    await lacking.run_all()
    assert (await lacking.operation(accepted.id)).handed_off
