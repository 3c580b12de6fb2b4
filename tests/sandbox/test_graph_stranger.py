"""Graph driven by the unmodified, typed Microsoft Graph SDK: a client that knows nothing of the sandbox."""

import time
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from azure.core.credentials import AccessToken
from kiota_abstractions.api_error import APIError
from kiota_abstractions.base_request_configuration import RequestConfiguration
from kiota_authentication_azure.azure_identity_authentication_provider import AzureIdentityAuthenticationProvider
from msgraph.generated.applications.applications_request_builder import ApplicationsRequestBuilder
from msgraph.generated.models.application import Application
from msgraph.generated.models.service_principal import ServicePrincipal
from msgraph.graph_request_adapter import GraphRequestAdapter
from msgraph.graph_service_client import GraphServiceClient

from tests.sandbox.conftest import Contoso


class IdentityCredential:
    """Hands the SDK a token of Gatehouse's identity."""

    def __init__(self, contoso: Contoso) -> None:
        self._contoso = contoso

    def get_token(self, *scopes: str, **_: Any) -> AccessToken:
        """A token for Graph, whatever the scope is called."""
        assert len(scopes) == 1
        return AccessToken(self._contoso.token(audience=self._contoso.tenant.urls.graph), int(time.time()) + 3600)


@pytest.fixture
async def client(sandbox_tenant: Contoso) -> AsyncIterator[GraphServiceClient]:
    """The SDK's client, pointed at the sandbox by its base URL."""
    graph = sandbox_tenant.tenant.urls.graph
    provider = AzureIdentityAuthenticationProvider(
        IdentityCredential(sandbox_tenant), scopes=[f"{graph}/.default"], allowed_hosts=["127.0.0.1"]
    )
    async with httpx.AsyncClient(verify=sandbox_tenant.tls) as session:
        adapter = GraphRequestAdapter(provider, session)
        adapter.base_url = f"{graph}/v1.0"
        yield GraphServiceClient(request_adapter=adapter)


async def test_the_sdk_registers_finds_and_deletes(client: GraphServiceClient) -> None:
    """The SDK's paths, query encoding and models are served: create, find, mint, delete, list deleted."""
    made = await client.applications.post(Application(display_name="It's a test", tags=["gatehouse"]))
    assert made is not None
    assert made.id is not None
    principal = await client.service_principals.post(ServicePrincipal(app_id=made.app_id))
    assert principal is not None
    assert principal.service_principal_names == [made.app_id]
    query = ApplicationsRequestBuilder.ApplicationsRequestBuilderGetQueryParameters(
        filter="displayName eq 'It''s a test' and tags/any(t:t eq 'gatehouse')", select=["id", "tags"], top=5
    )
    found = await client.applications.get(RequestConfiguration(query_parameters=query))
    assert found is not None
    assert [each.id for each in found.value or ()] == [made.id]
    by_name = client.applications_with_unique_name("gatehouse-test-default")
    with pytest.raises(APIError) as missing:
        await by_name.get()
    assert missing.value.response_status_code == 404
    await client.applications.by_application_id(made.id).patch(Application(unique_name="gatehouse-test-default"))
    named = await by_name.get()
    assert named is not None
    assert named.id == made.id
    await client.applications.by_application_id(made.id).delete()
    deleted = await client.directory.deleted_items.graph_application.get()
    assert deleted is not None
    assert [each.id for each in deleted.value or ()] == [made.id]
