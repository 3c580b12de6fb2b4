"""Health: green when calm, and red with the repair when something is missing."""

import pytest

from tests.api.answers import shaped
from tests.api.hosts import another_host
from tests.world import World

CHECKS = {"settings", "permissions", "token service", "vault", "ledger", "poison queues", "catalogue", "entitlements"}


async def test_everything_is_green_in_a_calm_tenant(quiet: World) -> None:
    """Each part says that it is well, in words."""
    reply = await quiet.api("GET", "/health")
    assert reply.status == 200, reply.text
    shaped("health", reply.body)
    assert {check["name"] for check in reply.body["checks"]} >= CHECKS
    assert all(check["ok"] for check in reply.body["checks"])


@pytest.mark.parametrize(
    "missing",
    [["GATEHOUSE_OPERATORS"], ["GATEHOUSE_TENANT_ID", "GATEHOUSE_KEY_VAULT_URL", "GATEHOUSE_ORGANISATION"]],
)
async def test_missing_settings_are_all_named(quiet: World, missing: list[str]) -> None:
    """A deployment that lacks settings is red and names each; every other call says the same."""
    async with another_host(quiet, dict.fromkeys(missing)) as host:
        health = await host.call("GET", "/api/health")
        assert health.status == 503
        shaped("health", health.body)
        (check,) = health.body["checks"]
        assert (check["name"], check["ok"]) == ("settings", False)
        assert all(name in check["detail"] for name in missing)
        called = await host.call("GET", "/api/vendors")
        shaped("problem", called.body)
        assert {reason["field"] for reason in called.body["reasons"]} == set(missing)


@pytest.mark.parametrize("permission", ["Application.ReadWrite.All", "DelegatedPermissionGrant.ReadWrite.All"])
async def test_missing_permission_is_named_with_its_repair(quiet: World, permission: str) -> None:
    """Where the identity lacks a permission, health names it and to whom it must be granted; the rest stays green."""
    before = await quiet.dump()
    graph = next(s for s in before["service_principals"] if s["displayName"] == "Microsoft Graph")
    identity = next(s for s in before["service_principals"] if s["displayName"] == "gatehouse")
    role = next(role["id"] for role in graph["appRoles"] if role["value"] == permission)
    held = next(a for a in before["assignments"] if a["appRoleId"] == role and a["principalId"] == identity["id"])
    await quiet.control("DELETE", f"/objects/assignments/{held['id']}")
    try:
        # A new process, because a token carries its roles until it ends.
        async with another_host(quiet, {}) as host:
            health = await host.call("GET", "/api/health")
            assert health.status == 503
            shaped("health", health.body)
            red = {check["name"]: check["detail"] for check in health.body["checks"] if not check["ok"]}
            assert set(red) == {"permissions"}
            assert permission in red["permissions"]
    finally:
        await quiet.control("PUT", f"/objects/assignments/{held['id']}", held)
