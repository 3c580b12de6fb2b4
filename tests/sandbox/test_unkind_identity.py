"""What the app's identity may do: its permissions, what it owns, and how long its tokens live."""

from typing import Any

import jwt
import pytest

from sandbox.first_party import DEFAULT_PERMISSIONS
from sandbox.tokens import tokens_of
from tests.sandbox.conftest import Contoso
from tests.sandbox.unkind_tenant import be_unkind

OWNED = ("Application.ReadWrite.OwnedBy",)


async def _token(contoso: Contoso) -> dict[str, Any]:
    urls = contoso.tenant.urls
    url = f"{urls.identity}/msi/token?api-version=2019-08-01&resource={urls.graph}"
    reply = await contoso.call("GET", url, headers={"X-IDENTITY-HEADER": tokens_of(contoso.tenant).identity_header})
    assert reply.status == 200
    claims = jwt.decode(reply.body["access_token"], options={"verify_signature": False})
    return {**claims, "lives": claims["exp"] - claims["iat"]}


async def test_permissions_are_those_that_were_granted_last(sandbox_tenant: Contoso) -> None:
    """PUT /permissions replaces them all, newly issued tokens carry them, and a reset brings the first ones back."""
    assert (await _token(sandbox_tenant))["roles"] == sorted(DEFAULT_PERMISSIONS)
    granted = await sandbox_tenant.control("PUT", "/permissions", ["User.Read.All", "Mail.Send"])
    assert granted.body == ["Mail.Send", "User.Read.All"]
    assert (await _token(sandbox_tenant))["roles"] == ["Mail.Send", "User.Read.All"]
    await sandbox_tenant.control("PUT", "/permissions", [])
    assert "roles" not in await _token(sandbox_tenant)
    assert (await sandbox_tenant.control("PUT", "/permissions", ["Everything"])).status == 400
    await sandbox_tenant.control("POST", "/reset")
    assert (await sandbox_tenant.control("GET", "/permissions")).body == sorted(DEFAULT_PERMISSIONS)


async def test_tokens_live_as_long_as_is_chosen(sandbox_tenant: Contoso) -> None:
    """A token's life is a switch, so that a test of permissions need not wait for a day."""
    assert (await _token(sandbox_tenant))["lives"] == 86_399
    await be_unkind(sandbox_tenant, token_seconds=120)
    assert (await _token(sandbox_tenant))["lives"] == 120


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("PATCH", "/applications/{application}", {"notes": "x"}),
        ("POST", "/applications/{application}/addPassword", {}),
        ("DELETE", "/applications/{application}", None),
        ("PATCH", "/servicePrincipals/{principal}", {"notes": "x"}),
        ("POST", "/servicePrincipals/{principal}/addTokenSigningCertificate", {"displayName": "CN=x"}),
        ("DELETE", "/servicePrincipals/{principal}", None),
    ],
)
async def test_owned_by_reaches_what_is_owned(
    sandbox_tenant: Contoso, method: str, path: str, body: dict[str, Any] | None
) -> None:
    """Under OwnedBy alone a write needs the caller as owner, of a service principal's application too; reads do not."""
    application, principal = await sandbox_tenant.registered()
    directory = sandbox_tenant.tenant.directory
    there = path.format(application=application["id"], principal=principal["id"])
    owners = directory.owners.pop(application["id"])
    refused = await sandbox_tenant.graph(method, there, body, roles=OWNED)
    assert (refused.status, refused.code) == (403, "Authorization_RequestDenied")
    read = f"/servicePrincipals/{principal['id']}"
    assert (await sandbox_tenant.graph("GET", read, roles=OWNED)).status == 200
    directory.owners[application["id"]] = owners
    assert (await sandbox_tenant.graph(method, there, body, roles=OWNED)).status < 300


@pytest.mark.parametrize(("orphaned", "status"), [(True, 403), (False, 204)])
async def test_instantiate_may_leave_its_objects_without_owner(
    sandbox_tenant: Contoso, orphaned: bool, status: int
) -> None:
    """Under OwnedBy alone both objects may come without an owner, and every further write is refused."""
    await be_unkind(sandbox_tenant, instantiate_without_owners=orphaned)
    hits = await sandbox_tenant.graph("GET", "/applicationTemplates?$filter=displayName eq 'SmartTrace'")
    path = f"/applicationTemplates/{hits.body['value'][0]['id']}/instantiate"
    made = await sandbox_tenant.graph("POST", path, {"displayName": "x"}, roles=OWNED)
    assert made.status == 201
    application = f"/applications/{made.body['application']['id']}"
    assert (await sandbox_tenant.graph("PATCH", application, {"notes": "x"}, roles=OWNED)).status == status
    assert bool((await sandbox_tenant.graph("GET", f"{application}/owners")).body["value"]) != orphaned


async def test_mapped_claims_are_refused_in_a_create_under_owned_by(sandbox_tenant: Contoso) -> None:
    """AcceptMappedClaims in the body of a create is 403 under OwnedBy; a PATCH right afterwards takes it."""
    claims = {"api": {"acceptMappedClaims": True}}
    refused = await sandbox_tenant.graph("POST", "/applications", {"displayName": "x", **claims}, roles=OWNED)
    assert refused.status == 403
    made = await sandbox_tenant.graph("POST", "/applications", {"displayName": "x"}, roles=OWNED)
    path = f"/applications/{made.body['id']}"
    assert (await sandbox_tenant.graph("PATCH", path, claims, roles=OWNED)).status == 204


async def test_instantiate_may_say_not_found_and_have_created(sandbox_tenant: Contoso) -> None:
    """The misleading 404 leaves both objects behind, and GET /faults tells that it was given."""
    await be_unkind(sandbox_tenant, instantiate_not_found_share=1)
    hits = await sandbox_tenant.graph("GET", "/applicationTemplates?$filter=displayName eq 'SmartTrace'")
    path = f"/applicationTemplates/{hits.body['value'][0]['id']}/instantiate"
    reply = await sandbox_tenant.graph("POST", path, {"displayName": "temporary"})
    assert (reply.status, reply.code) == (404, "NotFound")
    assert "httpCode=NotFound" in reply.message
    dump = (await sandbox_tenant.control("GET", "/dump")).body
    assert [each["displayName"] for each in dump["applications"]] == ["temporary"]
    hits = (await sandbox_tenant.control("GET", "/faults")).body["hits"]
    assert [hit["fault"] for hit in hits] == ["404 but created"]


async def test_instantiate_takes_its_time(sandbox_tenant: Contoso) -> None:
    """Instantiate takes two to ten seconds of the sandbox's clock."""
    await be_unkind(sandbox_tenant, instantiate_seconds=10)
    await sandbox_tenant.control("PUT", "/clock", {"rate": 1000})
    before = sandbox_tenant.tenant.clock.now()
    await sandbox_tenant.instantiated("SmartTrace", "SmartTrace")
    assert (sandbox_tenant.tenant.clock.now() - before).total_seconds() >= 2
