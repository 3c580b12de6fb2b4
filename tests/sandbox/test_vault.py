"""The vault on the wire: driven by the unmodified Azure SDK, and by hand where the SDK would not misbehave."""

import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any, Self

import aiohttp
import pytest
from azure.core.credentials import AccessToken
from azure.core.exceptions import HttpResponseError, ResourceNotFoundError
from azure.core.pipeline.transport import AioHttpTransport
from azure.keyvault.secrets.aio import SecretClient

from tests.sandbox.conftest import Contoso


class IdentityCredential:
    """Hands the SDK a token of Gatehouse's identity and remembers what it was asked for."""

    def __init__(self, contoso: Contoso) -> None:
        self._contoso = contoso
        self.scopes: list[str] = []

    async def get_token(self, *scopes: str, **_: Any) -> AccessToken:
        """A token for the one scope the challenge named."""
        self.scopes += scopes
        audience = scopes[0].removesuffix("/.default")
        return AccessToken(self._contoso.token(audience=audience, roles=()), int(time.time()) + 3600)

    async def close(self) -> None:
        """Nothing is held."""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()


@pytest.fixture
async def client(sandbox_tenant: Contoso) -> AsyncIterator[SecretClient]:
    """The SDK's client, its check of the challenge's resource left on."""
    connector = aiohttp.TCPConnector(ssl=sandbox_tenant.tls)
    async with (
        aiohttp.ClientSession(connector=connector) as session,
        SecretClient(
            sandbox_tenant.tenant.urls.vault,
            IdentityCredential(sandbox_tenant),
            transport=AioHttpTransport(session=session, session_owner=False),
            retry_total=0,
        ) as opened,
    ):
        yield opened


async def test_the_challenge_names_authority_and_resource(sandbox_tenant: Contoso) -> None:
    """A call without a token is 401 and tells where to get one, and for what."""
    urls, tenant_id = sandbox_tenant.tenant.urls, sandbox_tenant.tenant.directory.tenant_id
    reply = await sandbox_tenant.call("GET", f"{urls.vault}/secrets/x?api-version=7.6")
    assert reply.status == 401
    port = urls.vault.rpartition(":")[2]
    assert reply.headers["WWW-Authenticate"] == (
        f'Bearer authorization="{urls.authority}/{tenant_id}", resource="https://0.0.1:{port}"'
    )


async def test_a_token_for_graph_is_refused(sandbox_tenant: Contoso) -> None:
    """A token for another resource gets the challenge again."""
    urls = sandbox_tenant.tenant.urls
    token = sandbox_tenant.token(audience=urls.graph)
    reply = await sandbox_tenant.call(
        "GET", f"{urls.vault}/secrets/x?api-version=7.6", headers={"Authorization": f"Bearer {token}"}
    )
    assert reply.status == 401


async def test_the_sdk_writes_reads_and_disables(client: SecretClient) -> None:
    """Each write is a new version; a disabled one keeps its value to itself, and the others do not."""
    ends = datetime(2031, 1, 1, tzinfo=UTC)
    first = await client.set_secret("a-secret", "one", tags={"key": "1"}, expires_on=ends, content_type="text/plain")
    second = await client.set_secret("a-secret", "two", tags={"key": "2"})
    assert first.properties.version != second.properties.version
    assert (await client.get_secret("a-secret")).value == "two"
    again = await client.get_secret("a-secret", first.properties.version)
    assert (again.value, again.properties.expires_on, again.properties.tags) == ("one", ends, {"key": "1"})
    assert again.properties.content_type == "text/plain"
    await client.update_secret_properties("a-secret", first.properties.version, enabled=False, tags={"new": "x"})
    with pytest.raises(HttpResponseError) as refused:
        await client.get_secret("a-secret", first.properties.version)
    assert refused.value.status_code == 403
    assert "SecretDisabled" in str(refused.value.response.text() if refused.value.response else "")
    versions = [each async for each in client.list_properties_of_secret_versions("a-secret")]
    assert {each.version: each.enabled for each in versions} == {
        first.properties.version: False,
        second.properties.version: True,
    }
    assert next(each for each in versions if not each.enabled).tags == {"new": "x"}


async def test_the_sdk_pages_through_names(client: SecretClient) -> None:
    """More names than a page holds are all listed, by their newest version, without values."""
    names = {f"secret-{number:02}" for number in range(30)}
    for name in names:
        await client.set_secret(name, "x")
    assert {each.name async for each in client.list_properties_of_secrets()} == names


async def test_a_missing_secret(client: SecretClient) -> None:
    """An unknown name is 404, and its versions are none."""
    with pytest.raises(ResourceNotFoundError, match="SecretNotFound"):
        await client.get_secret("nothing")
    assert [each async for each in client.list_properties_of_secret_versions("nothing")] == []


async def test_delete_recover_and_purge(sandbox_tenant: Contoso) -> None:
    """A deleted name is neither free nor readable until it is recovered, and free after it is purged."""
    await sandbox_tenant.vault("PUT", "/secrets/gone", {"value": "x"})
    deleted = await sandbox_tenant.vault("DELETE", "/secrets/gone")
    assert {"recoveryId", "deletedDate", "scheduledPurgeDate"} <= set(deleted.body)
    assert (await sandbox_tenant.vault("GET", "/secrets/gone")).status == 404
    taken = await sandbox_tenant.vault("PUT", "/secrets/gone", {"value": "y"})
    assert (taken.status, taken.body["error"]["innererror"]["code"]) == (409, "ObjectIsDeletedButRecoverable")
    assert (await sandbox_tenant.vault("GET", "/deletedsecrets/gone")).status == 200
    assert (await sandbox_tenant.vault("POST", "/deletedsecrets/gone/recover")).status == 200
    assert (await sandbox_tenant.vault("GET", "/secrets/gone")).body["value"] == "x"
    await sandbox_tenant.vault("DELETE", "/secrets/gone")
    assert (await sandbox_tenant.vault("DELETE", "/deletedsecrets/gone")).status == 204
    assert (await sandbox_tenant.vault("PUT", "/secrets/gone", {"value": "y"})).status == 200


@pytest.mark.parametrize(
    ("name", "body"),
    [
        ("under_score", {"value": "x"}),
        ("n" * 128, {"value": "x"}),
        ("good", {}),
        ("good", {"value": 7}),
        ("good", {"value": "x" * (25 * 1024 + 1)}),
        ("good", {"value": "x", "tags": {f"t{number}": "v" for number in range(16)}}),
        ("good", {"value": "x", "tags": {"t": "v" * 257}}),
        ("good", {"value": "x", "attributes": {"exp": "soon"}}),
        ("good", {"value": "x", "contentType": "c" * 256}),
    ],
)
async def test_limits(sandbox_tenant: Contoso, name: str, body: dict[str, Any]) -> None:
    """A name, value, tag or attribute outside the limits is 400 and stores nothing."""
    reply = await sandbox_tenant.vault("PUT", f"/secrets/{name}", body)
    assert (reply.status, reply.body["error"]["code"]) == (400, "BadParameter")
    assert sandbox_tenant.tenant.vault.secrets == {}


async def test_a_value_cannot_be_changed(sandbox_tenant: Contoso) -> None:
    """A PATCH that carries a value is refused."""
    await sandbox_tenant.vault("PUT", "/secrets/one", {"value": "x"})
    assert (await sandbox_tenant.vault("PATCH", "/secrets/one/", {"value": "y"})).status == 400


async def test_no_value_is_kept_outside_the_vault(sandbox_tenant: Contoso) -> None:
    """The value written and read back stands neither in the calls nor in the dump."""
    await sandbox_tenant.vault("PUT", "/secrets/one", {"value": "a-canary", "tags": {"key_id": "k"}})
    assert (await sandbox_tenant.vault("GET", "/secrets/one")).body["value"] == "a-canary"
    calls = (await sandbox_tenant.control("GET", "/calls")).body
    assert [call["operation"] for call in calls] == ["PUT /secrets/{name}", "GET /secrets/{name}"]
    dump = (await sandbox_tenant.control("GET", "/dump")).body
    assert dump["vault"]["one"]["versions"][0]["tags"] == {"key_id": "k"}
    assert "a-canary" not in f"{calls}{dump}"
