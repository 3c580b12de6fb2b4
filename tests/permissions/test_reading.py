"""Permissions to read people: a request that cannot be checked is answered at once with the permission's name."""

from collections.abc import AsyncIterator

import pytest

from sandbox.first_party import DEFAULT_PERMISSIONS
from sso import permissions
from sso.errors import TenantError
from tests.stories.hostless import Hostless


@pytest.fixture
async def blind(hostless: Hostless) -> AsyncIterator[Hostless]:
    """A tenant whose permissions a test takes away."""
    yield hostless
    await hostless.world.control("PUT", "/permissions", list(DEFAULT_PERMISSIONS))


@pytest.mark.parametrize("permission", [permissions.USERS, permissions.GROUPS])
@pytest.mark.parametrize("vendor", ["thoropass", "hellotracks"])
async def test_a_request_is_refused_with_the_permission(blind: Hostless, permission: str, vendor: str) -> None:
    """The refusal names the permission and where to grant it, and nothing was written or recorded."""
    await blind.world.control("PUT", "/permissions", [name for name in DEFAULT_PERMISSIONS if name != permission])
    before = await blind.world.last_call()
    with pytest.raises(TenantError) as refused:
        await blind.accept(vendor)
    detail = refused.value.reasons[0].detail
    assert permission in detail
    assert "New-MgServicePrincipalAppRoleAssignment" in detail
    assert await blind.world.writes(before) == []
    assert await blind.left() == {}


@pytest.mark.parametrize(
    ("permission", "owner"),
    [(permissions.USERS, "app-owner@contoso.com"), (permissions.GROUPS, "identity-team@contoso.com")],
)
async def test_a_run_that_cannot_look_up_waits(blind: Hostless, permission: str, owner: str) -> None:
    """Where the permission goes between request and run, the run waits for it before its first write."""
    accepted = await blind.accept("hellotracks", owner=owner)
    await blind.close()
    await blind.world.control("PUT", "/permissions", [name for name in DEFAULT_PERMISSIONS if name != permission])
    before = await blind.world.last_call()
    await blind.run_all()
    stopped = await blind.operation(accepted.id)
    assert stopped.waiting_for is not None
    assert stopped.waiting_for.what == "permission"
    assert permission in stopped.reasons[0].detail
    assert await blind.world.writes(before) == []
