"""The beta report of credential use: what counts as a use, when it shows, and how often it may be asked for."""

from datetime import timedelta
from typing import Any
from urllib.parse import quote

from tests.published import problems_of_object
from tests.sandbox.conftest import Contoso

REPORT = "/reports/appCredentialSignInActivities"


async def made(sandbox_tenant: Contoso) -> tuple[dict[str, Any], dict[str, Any]]:
    """An application and a client secret of it, with its text."""
    application, _ = await sandbox_tenant.registered()
    added = await sandbox_tenant.graph("POST", f"/applications/{application['id']}/addPassword", {})
    return application, dict(added.body)


async def token(sandbox_tenant: Contoso, client_id: str, secret: str) -> int:
    """One token request with a secret; returns its status."""
    tenant = sandbox_tenant.tenant
    url = f"{tenant.urls.authority}/{tenant.directory.tenant_id}/oauth2/v2.0/token"
    form = {
        "grant_type": "client_credentials",
        "client_id": client_id,
        "client_secret": secret,
        "scope": f"{tenant.urls.graph}/.default",
    }
    return (await sandbox_tenant.call("POST", url, data=form)).status


async def rows(sandbox_tenant: Contoso, key_id: str) -> list[dict[str, Any]]:
    """What the report shows of one credential."""
    filter_ = quote(f"keyId eq '{key_id}'")
    answer = await sandbox_tenant.graph("GET", f"{REPORT}?$filter={filter_}", version="beta")
    assert answer.status == 200, answer.body
    return list(answer.body["value"])


async def test_granted_token_requests_are_uses_and_others_are_none(sandbox_tenant: Contoso) -> None:
    """A secret has a row once a token was granted for it, dated by its last use; it keeps it when it is removed."""
    application, secret = await made(sandbox_tenant)
    assert await token(sandbox_tenant, application["appId"], "wrong") == 401
    assert await rows(sandbox_tenant, secret["keyId"]) == []
    assert await token(sandbox_tenant, application["appId"], secret["secretText"]) == 200
    [row] = await rows(sandbox_tenant, secret["keyId"])
    assert problems_of_object("appCredentialSignInActivity", row) == []
    assert (row["appId"], row["keyType"]) == (application["appId"], "clientSecret")
    removal = {"keyId": secret["keyId"]}
    await sandbox_tenant.graph("POST", f"/applications/{application['id']}/removePassword", removal)
    assert await rows(sandbox_tenant, secret["keyId"]) == [row]
    assert (await sandbox_tenant.graph("GET", REPORT)).status == 404
    assert (await sandbox_tenant.graph("GET", REPORT, version="beta", roles=("User.Read.All",))).status == 403


async def test_a_use_shows_after_its_lag(sandbox_tenant: Contoso) -> None:
    """With a lag of two days a use shows on the third day, and until then the one before it."""
    application, secret = await made(sandbox_tenant)
    await token(sandbox_tenant, application["appId"], secret["secretText"])
    [first] = await rows(sandbox_tenant, secret["keyId"])
    await sandbox_tenant.control("PUT", "/switches", {"report_lag_seconds": 172_800})
    assert await rows(sandbox_tenant, secret["keyId"]) == []
    began = sandbox_tenant.tenant.clock.now()
    await sandbox_tenant.control("PUT", "/clock", {"now": (began + timedelta(days=2)).isoformat()})
    await token(sandbox_tenant, application["appId"], secret["secretText"])
    assert await rows(sandbox_tenant, secret["keyId"]) == [first]
    await sandbox_tenant.control("PUT", "/clock", {"now": (began + timedelta(days=4, minutes=1)).isoformat()})
    [second] = await rows(sandbox_tenant, secret["keyId"])
    assert second["signInActivity"]["lastSignInDateTime"] > first["signInActivity"]["lastSignInDateTime"]


async def test_five_calls_in_ten_seconds_are_answered(sandbox_tenant: Contoso) -> None:
    """The sixth is told to come back, and reports have a limit of their own."""
    await sandbox_tenant.control("PUT", "/switches", {"report_calls": 5})
    answers = [await sandbox_tenant.graph("GET", REPORT, version="beta") for _ in range(6)]
    assert [answer.status for answer in answers] == [200] * 5 + [429]
    assert int(answers[-1].headers["Retry-After"]) >= 1
    assert (await sandbox_tenant.graph("GET", "/applications")).status == 200
