"""App management policies: what the tenant's default and an object's own refuse, to whom, and since when."""

from datetime import datetime, timedelta
from typing import Any

import pytest

from tests.published import problems_of_object
from tests.sandbox.conftest import Contoso

FORBIDDEN = "CredentialTypeNotAllowedAsPerAppPolicy"
TOO_LONG = "CredentialInvalidLifetimeAsPerAppPolicy"
OUTSIDE = {"customSecurityAttributes": [{"id": "Exemptions_AppManagement", "operator": "equals", "value": "trusted"}]}


def restriction(kind: str, **changed: Any) -> dict[str, Any]:
    """One restriction that holds for everybody and every application."""
    return {
        "restrictionType": kind,
        "state": "enabled",
        "maxLifetime": None,
        "restrictForAppsCreatedAfterDateTime": "2019-01-01T10:37:00Z",
        "excludeActors": None,
        **changed,
    }


def default(*passwords: dict[str, Any], keys: tuple[dict[str, Any], ...] = (), **changed: Any) -> dict[str, Any]:
    """A tenant's default policy for applications."""
    restrictions = {"passwordCredentials": list(passwords), "keyCredentials": list(keys)}
    return {"isEnabled": True, "applicationRestrictions": restrictions, **changed}


async def _put(contoso: Contoso, name: str, policy: dict[str, Any]) -> None:
    reply = await contoso.control("PUT", f"/objects/app_management_policies/{name}", policy)
    assert reply.status == 200


async def _add(contoso: Contoso, application: dict[str, Any], days: int = 180) -> str:
    """What adding a secret of so many days is answered with: a code, or `added`."""
    now = datetime.fromisoformat((await contoso.control("GET", "/clock")).body["now"])
    body = {"passwordCredential": {"endDateTime": f"{now + timedelta(days=days):%Y-%m-%dT%H:%M:%SZ}"}}
    reply = await contoso.graph("POST", f"/applications/{application['id']}/addPassword", body)
    return "added" if reply.status == 200 else reply.code


async def test_the_default_policy_is_what_is_enforced(sandbox_tenant: Contoso) -> None:
    """Secrets are forbidden or must be short as the default says; one that is not enabled refuses nothing."""
    application, _ = await sandbox_tenant.registered()
    lifetime = restriction("passwordLifetime", maxLifetime="P30D")
    await _put(sandbox_tenant, "default", default(lifetime))
    assert [await _add(sandbox_tenant, application, days) for days in (180, 30)] == [TOO_LONG, "added"]
    await _put(sandbox_tenant, "default", default(restriction("passwordAddition"), lifetime))
    assert await _add(sandbox_tenant, application, 30) == FORBIDDEN
    read = await sandbox_tenant.graph("GET", "/policies/defaultAppManagementPolicy", roles=("Policy.Read.All",))
    assert problems_of_object("tenantAppManagementPolicy", read.body) == []
    assert (await sandbox_tenant.graph("GET", "/policies/defaultAppManagementPolicy")).status == 200
    for off in (default(lifetime, isEnabled=False), default(restriction("passwordAddition", state="disabled"))):
        await _put(sandbox_tenant, "default", off)
        assert await _add(sandbox_tenant, application) == "added"


async def test_applications_older_than_the_restriction_are_spared(sandbox_tenant: Contoso) -> None:
    """A restriction counts for applications that were created after its date."""
    application, _ = await sandbox_tenant.registered()
    for date, outcome in (("2019-01-01T10:37:00Z", FORBIDDEN), (None, FORBIDDEN), ("2099-01-01T00:00:00Z", "added")):
        policy = default(restriction("passwordAddition", restrictForAppsCreatedAfterDateTime=date))
        await _put(sandbox_tenant, "default", policy)
        assert await _add(sandbox_tenant, application) == outcome


async def test_a_policy_of_its_own_takes_the_place_of_the_default(sandbox_tenant: Contoso) -> None:
    """An application with an enabled policy inherits nothing; with a disabled one, or without, the default counts."""
    application, _ = await sandbox_tenant.registered()
    other, _ = await sandbox_tenant.registered("Another")
    await _put(sandbox_tenant, "default", default(restriction("passwordAddition")))
    lifetime = restriction("passwordLifetime", maxLifetime="P30D")
    own = {"displayName": "short", "isEnabled": True, "restrictions": {"passwordCredentials": [lifetime]}}
    await _put(sandbox_tenant, application["id"], own)
    assert [await _add(sandbox_tenant, application, days) for days in (180, 30)] == [TOO_LONG, "added"]
    assert await _add(sandbox_tenant, other, 30) == FORBIDDEN
    listed = await sandbox_tenant.graph("GET", f"/applications/{application['id']}/appManagementPolicies")
    assert [each["displayName"] for each in listed.body["value"]] == ["short"]
    assert problems_of_object("appManagementPolicy", listed.body["value"][0]) == []
    none = await sandbox_tenant.graph("GET", f"/applications/{other['id']}/appManagementPolicies")
    assert none.body["value"] == []
    await _put(sandbox_tenant, application["id"], {**own, "isEnabled": False})
    assert await _add(sandbox_tenant, application, 30) == FORBIDDEN


async def test_actors_with_the_attribute_are_exempt(sandbox_tenant: Contoso) -> None:
    """A caller whose service principal carries the named custom security attribute is not held to a restriction."""
    application, _ = await sandbox_tenant.registered()
    await _put(sandbox_tenant, "default", default(restriction("passwordAddition", excludeActors=OUTSIDE)))
    assert await _add(sandbox_tenant, application) == FORBIDDEN
    identity = sandbox_tenant.tenant.directory.identity_service_principal_id
    attributes = {"customSecurityAttributes": {"Exemptions": {"AppManagement": "trusted"}}}
    await sandbox_tenant.control("PUT", f"/objects/service_principals/{identity}", attributes)
    assert await _add(sandbox_tenant, application) == "added"


@pytest.mark.parametrize("where", ["applicationRestrictions", "servicePrincipalRestrictions"])
async def test_certificates_must_be_short_as_well(sandbox_tenant: Contoso, where: str) -> None:
    """A signing certificate that lives longer than either half of the policy allows is refused."""
    _, principal = await sandbox_tenant.registered()
    keys = [restriction("asymmetricKeyLifetime", maxLifetime="P365D")]
    policy = {"isEnabled": True, where: {"passwordCredentials": [], "keyCredentials": keys}}
    await _put(sandbox_tenant, "default", policy)
    now = datetime.fromisoformat((await sandbox_tenant.control("GET", "/clock")).body["now"])
    path = f"/servicePrincipals/{principal['id']}/addTokenSigningCertificate"
    body = {"displayName": "CN=test", "endDateTime": f"{now + timedelta(days=400):%Y-%m-%dT%H:%M:%SZ}"}
    assert (await sandbox_tenant.graph("POST", path, body)).code == TOO_LONG
    body["endDateTime"] = f"{now + timedelta(days=365):%Y-%m-%dT%H:%M:%SZ}"
    assert (await sandbox_tenant.graph("POST", path, body)).status == 200
