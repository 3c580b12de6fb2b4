"""Lagging replicas: new objects flap into being, filters come last, writes are refused on what is not known yet."""

from statistics import median, quantiles
from typing import Any

import pytest

from sandbox.unkind.draws import Draws
from sandbox.unkind.lag import LONGEST, lag_of
from sandbox.unkind.switches import Lag
from tests.sandbox.conftest import Contoso, Reply
from tests.sandbox.unkind_tenant import FIVE_MINUTES, be_unkind, later, over_time

SIMON = "b.simon@contoso.com"


async def _simon(contoso: Contoso) -> str:
    return str((await contoso.graph("GET", f"/users/{SIMON}?$select=id")).body["id"])


async def _created(contoso: Contoso, **properties: Any) -> dict[str, Any]:
    reply = await contoso.graph("POST", "/applications", {"displayName": "Portal", **properties})
    assert reply.status == 201, reply.body
    return dict(reply.body)


async def _replicated_pair(contoso: Contoso) -> tuple[dict[str, Any], dict[str, Any]]:
    """An application and its service principal that every replica knows, in a tenant that lags from now on."""
    await be_unkind(contoso, lag="none")
    pair = await contoso.registered()
    await be_unkind(contoso, lag="normal")
    return pair


@pytest.mark.parametrize(("profile", "middle", "tail"), [("normal", 3, 60), ("bad", 60, LONGEST)])
def test_lags_are_distributed_as_observed(profile: Lag, middle: float, tail: float) -> None:
    """Half of the lags are below the profile's median, all but one in a hundred below its tail."""
    draws = Draws(1)
    lags = [lag_of(profile, draws.fraction("lag")).total_seconds() for _ in range(20_000)]
    assert median(lags) == pytest.approx(middle, rel=0.05)
    assert quantiles(lags, n=100)[-1] == pytest.approx(tail, rel=0.15)
    assert max(lags) <= LONGEST


async def test_a_new_object_flaps_before_it_stays(sandbox_tenant: Contoso) -> None:
    """Reads by id answer 404, then now this and now that, and in the end always the object."""
    await be_unkind(sandbox_tenant, lag="normal")
    made = await _created(sandbox_tenant)
    replies = await over_time(sandbox_tenant, lambda: sandbox_tenant.graph("GET", f"/applications/{made['id']}"))
    statuses = [reply.status for reply in replies]
    assert statuses[0] == 404
    assert 404 in statuses[statuses.index(200) :]
    assert set(statuses[-30:]) == {200}


async def test_a_filter_finds_an_object_last(sandbox_tenant: Contoso) -> None:
    """As soon as a filter finds an object, every read by id does."""
    await be_unkind(sandbox_tenant, lag="normal")
    made = await _created(sandbox_tenant)

    async def listed_then_read() -> Reply:
        hits = await sandbox_tenant.graph("GET", f"/applications?$filter=appId eq '{made['appId']}'")
        if hits.body["value"]:
            for _ in range(3):
                assert (await sandbox_tenant.graph("GET", f"/applications/{made['id']}")).status == 200
        return hits

    found = [bool(reply.body["value"]) for reply in await over_time(sandbox_tenant, listed_then_read)]
    assert found == sorted(found)
    assert (found[0], found[-1]) == (False, True)


async def test_a_write_on_what_is_not_known_yet_is_not_found(sandbox_tenant: Contoso) -> None:
    """PATCH and addPassword answer 404 until the replica that they meet knows the application."""
    await be_unkind(sandbox_tenant, lag="normal")
    made = await _created(sandbox_tenant)
    path = f"/applications/{made['id']}"
    assert (await sandbox_tenant.graph("PATCH", path, {"notes": "early"})).status == 404
    assert (await sandbox_tenant.graph("POST", f"{path}/addPassword", {})).code == "Request_ResourceNotFound"
    await later(sandbox_tenant)
    assert (await sandbox_tenant.graph("PATCH", path, {"notes": "late"})).status == 204


async def test_a_write_changes_the_newest_state(sandbox_tenant: Contoso) -> None:
    """A write that meets a stale replica does not undo what was written before it."""
    application, _ = await _replicated_pair(sandbox_tenant)
    path = f"/applications/{application['id']}"
    assert (await sandbox_tenant.graph("PATCH", path, {"displayName": "Renamed"})).status == 204
    assert (await sandbox_tenant.graph("GET", path)).body["displayName"] == "Portal"
    assert (await sandbox_tenant.graph("PATCH", path, {"notes": "noted"})).status == 204
    await later(sandbox_tenant)
    read = (await sandbox_tenant.graph("GET", path)).body
    assert (read["displayName"], read["notes"]) == ("Renamed", "noted")


async def test_a_deleted_object_is_returned_for_a_while(sandbox_tenant: Contoso) -> None:
    """After a DELETE the object can still be read and listed, and among the deleted items it is not found at once."""
    application, _ = await _replicated_pair(sandbox_tenant)
    path, filtered = f"/applications/{application['id']}", f"/applications?$filter=id eq '{application['id']}'"
    assert (await sandbox_tenant.graph("DELETE", path)).status == 204
    assert (await sandbox_tenant.graph("GET", path)).status == 200
    assert (await sandbox_tenant.graph("GET", filtered)).body["value"]
    gone = f"/directory/deletedItems/{application['id']}"
    assert (await sandbox_tenant.graph("GET", gone)).status == 404
    await later(sandbox_tenant)
    assert (await sandbox_tenant.graph("GET", path)).status == 404
    assert not (await sandbox_tenant.graph("GET", filtered)).body["value"]
    assert (await sandbox_tenant.graph("GET", gone)).status == 200


async def test_an_upsert_by_unique_name_makes_one_object(sandbox_tenant: Contoso) -> None:
    """The same upsert again finds the object however far replicas lag: 201, then 204."""
    await be_unkind(sandbox_tenant, lag="bad")
    path, headers = "/applications(uniqueName='portal')", {"Prefer": "create-if-missing"}
    statuses = [
        (await sandbox_tenant.graph("PATCH", path, {"displayName": "Portal"}, headers=headers)).status for _ in range(3)
    ]
    assert statuses == [201, 204, 204]


@pytest.mark.parametrize(
    ("roles", "status", "text"),
    [
        (("Application.ReadWrite.All",), 400, "does not reference a valid application object"),
        (("Application.ReadWrite.OwnedBy",), 403, "must in the local tenant"),
    ],
)
async def test_a_service_principal_waits_for_its_application(
    sandbox_tenant: Contoso, roles: tuple[str, ...], status: int, text: str
) -> None:
    """A service principal for an application that has not replicated is refused, as 400 or under OwnedBy as 403."""
    await be_unkind(sandbox_tenant, lag="normal")
    made = (await sandbox_tenant.graph("POST", "/applications", {"displayName": "Portal"}, roles=roles)).body
    early = await sandbox_tenant.graph("POST", "/servicePrincipals", {"appId": made["appId"]}, roles=roles)
    assert early.status == status
    assert text in early.message
    await later(sandbox_tenant)
    late = await sandbox_tenant.graph("POST", "/servicePrincipals", {"appId": made["appId"]}, roles=roles)
    assert late.status == 201


async def test_an_assignment_waits_for_its_service_principal(sandbox_tenant: Contoso) -> None:
    """Assigning on a new service principal is 404 or no valid reference, and works once it has replicated."""
    simon = await _simon(sandbox_tenant)
    await be_unkind(sandbox_tenant, lag="normal")
    _, principal = await sandbox_tenant.instantiated("SmartTrace", "SmartTrace")
    role = next(role["id"] for role in principal["appRoles"] if role["displayName"] == "User")
    body = {"principalId": simon, "resourceId": principal["id"], "appRoleId": role}
    path = f"/servicePrincipals/{principal['id']}/appRoleAssignedTo"
    early = [await sandbox_tenant.graph("POST", path, body) for _ in range(8)]
    assert {(reply.status, reply.code) for reply in early} == {
        (404, "Request_ResourceNotFound"),
        (400, "Request_BadRequest"),
    }
    assert {reply.message for reply in early if reply.status == 400} == {"Not a valid reference update."}
    await later(sandbox_tenant)
    assert (await sandbox_tenant.graph("POST", path, body)).status == 201
    again = [await sandbox_tenant.graph("POST", path, body) for _ in range(8)]
    assert {reply.message for reply in again} == {
        "Permission being assigned already exists on the object",
        "EntitlementGrant entry already exists.",
    }
    assert not (await sandbox_tenant.graph("GET", path)).body["value"]
    await later(sandbox_tenant)
    assert len((await sandbox_tenant.graph("GET", path)).body["value"]) == 1


async def test_a_new_role_is_not_found_at_once(sandbox_tenant: Contoso) -> None:
    """A role that was just added is unknown to an assignment until it has flowed over and replicated."""
    application, principal = await _replicated_pair(sandbox_tenant)
    simon = await _simon(sandbox_tenant)
    role = "11111111-2222-4333-8444-555555555555"
    described = {"id": role, "displayName": "Reader", "description": "Reads", "value": "Reader", "isEnabled": True}
    roles = {"appRoles": [{**described, "allowedMemberTypes": ["User"]}]}
    assert (await sandbox_tenant.graph("PATCH", f"/applications/{application['id']}", roles)).status == 204
    body = {"principalId": simon, "resourceId": principal["id"], "appRoleId": role}
    path = f"/servicePrincipals/{principal['id']}/appRoleAssignedTo"
    early = await sandbox_tenant.graph("POST", path, body)
    assert "Permission being assigned was not found on application" in early.message
    await later(sandbox_tenant, 2 * FIVE_MINUTES)
    assert (await sandbox_tenant.graph("POST", path, body)).status == 201


async def test_an_application_flows_to_its_service_principal_later(sandbox_tenant: Contoso) -> None:
    """Redirect URIs reach replyUrls some time after they are on the application, and overwrite what stands there."""
    application, principal = await _replicated_pair(sandbox_tenant)
    path = f"/servicePrincipals/{principal['id']}"
    web = {"web": {"redirectUris": ["https://portal.example/callback"]}}
    assert (await sandbox_tenant.graph("PATCH", f"/applications/{application['id']}", web)).status == 204
    assert (await sandbox_tenant.graph("PATCH", path, {"replyUrls": ["https://other.example"]})).status == 204
    assert (await sandbox_tenant.graph("GET", path)).body["replyUrls"] == []
    await later(sandbox_tenant, 2 * FIVE_MINUTES)
    assert (await sandbox_tenant.graph("GET", path)).body["replyUrls"] == ["https://portal.example/callback"]


async def test_the_identifier_policy_waits_for_the_saml_mode(sandbox_tenant: Contoso) -> None:
    """The exemption of a SAML application holds once the policy's replica has seen its mode."""
    application, principal = await _replicated_pair(sandbox_tenant)
    await be_unkind(sandbox_tenant, saml_mode_lags=True)
    mode = {"preferredSingleSignOnMode": "saml"}
    assert (await sandbox_tenant.graph("PATCH", f"/servicePrincipals/{principal['id']}", mode)).status == 204
    path, uris = f"/applications/{application['id']}", {"identifierUris": ["https://vendor.example/saml"]}
    assert (await sandbox_tenant.graph("PATCH", path, uris)).code == "HostNameNotOnVerifiedDomain"
    await later(sandbox_tenant)
    assert (await sandbox_tenant.graph("PATCH", path, uris)).status == 204


async def test_a_new_secret_cannot_be_read_or_removed_at_once(sandbox_tenant: Contoso) -> None:
    """The keyId of a new secret is missing from reads for a while, and removing it finds none to remove."""
    application, _ = await _replicated_pair(sandbox_tenant)
    path = f"/applications/{application['id']}"
    key_id = (await sandbox_tenant.graph("POST", f"{path}/addPassword", {})).body["keyId"]
    assert (await sandbox_tenant.graph("GET", path)).body["passwordCredentials"] == []
    early = await sandbox_tenant.graph("POST", f"{path}/removePassword", {"keyId": key_id})
    assert early.message == f"No password credential found with keyId {key_id}."
    await later(sandbox_tenant)
    assert (await sandbox_tenant.graph("POST", f"{path}/removePassword", {"keyId": key_id})).status == 204


@pytest.mark.parametrize("flaps", [False, True])
async def test_a_new_secret_is_taken_after_a_lag(sandbox_tenant: Contoso, flaps: bool) -> None:
    """The token endpoint answers AADSTS7000215 until it has heard of a secret, server by server where it flaps."""
    application, _ = await _replicated_pair(sandbox_tenant)
    await be_unkind(sandbox_tenant, token_flaps=flaps)
    urls, tenant_id = sandbox_tenant.tenant.urls, sandbox_tenant.tenant.directory.tenant_id
    added = await sandbox_tenant.graph("POST", f"/applications/{application['id']}/addPassword", {})
    form = {
        "grant_type": "client_credentials",
        "client_id": application["appId"],
        "client_secret": added.body["secretText"],
        "scope": f"{urls.graph}/.default",
    }

    async def ask() -> Reply:
        return await sandbox_tenant.call("POST", f"{urls.authority}/{tenant_id}/oauth2/v2.0/token", data=form)

    replies = await over_time(sandbox_tenant, ask)
    refused = [reply.status != 200 for reply in replies]
    assert refused[0]
    assert replies[0].body["error_codes"] == [7000215]
    assert not refused[-1]
    assert (refused != sorted(refused, reverse=True)) == flaps


async def test_the_metadata_lags_a_new_certificate(sandbox_tenant: Contoso) -> None:
    """The federation metadata shows the tenant's key, and the application's certificate some time later."""
    application, principal = await _replicated_pair(sandbox_tenant)
    urls, tenant_id = sandbox_tenant.tenant.urls, sandbox_tenant.tenant.directory.tenant_id
    url = f"{urls.authority}/{tenant_id}/federationmetadata/2007-06/federationmetadata.xml?appid={application['appId']}"
    added = await sandbox_tenant.graph(
        "POST", f"/servicePrincipals/{principal['id']}/addTokenSigningCertificate", {"displayName": "CN=portal"}
    )
    assert added.body["key"] not in (await sandbox_tenant.call("GET", url)).body
    await later(sandbox_tenant)
    assert added.body["key"] in (await sandbox_tenant.call("GET", url)).body


async def test_a_clock_that_goes_back_finds_everything_replicated(sandbox_tenant: Contoso) -> None:
    """Setting the clock back does not hide objects; without a time it keeps it and takes the rate."""
    await be_unkind(sandbox_tenant, lag="bad")
    made = await _created(sandbox_tenant)
    await later(sandbox_tenant, -3600)
    assert (await sandbox_tenant.graph("GET", f"/applications/{made['id']}")).status == 200
    before = sandbox_tenant.tenant.clock.now()
    told = (await sandbox_tenant.control("PUT", "/clock", {"rate": 30})).body
    assert told["rate"] == 30
    assert abs((sandbox_tenant.tenant.clock.now() - before).total_seconds()) < 60


async def test_an_administrators_hand_is_seen_at_once(sandbox_tenant: Contoso) -> None:
    """What the control plane puts or deletes is everywhere at once, however much lags."""
    application, _ = await _replicated_pair(sandbox_tenant)
    path = f"/applications/{application['id']}"
    await sandbox_tenant.graph("PATCH", path, {"notes": "soon"})
    await sandbox_tenant.control("PUT", f"/objects{path}", {"notes": "now"})
    assert (await sandbox_tenant.graph("GET", path)).body["notes"] == "now"
    await sandbox_tenant.control("DELETE", f"/objects{path}")
    assert (await sandbox_tenant.graph("GET", path)).status == 404
