"""The plain way: the typed SDK lists the service principals that carry our mark."""

import asyncio
import os

from kiota_abstractions.base_request_configuration import RequestConfiguration
from msgraph.generated.service_principals.service_principals_request_builder import ServicePrincipalsRequestBuilder
from msgraph.graph_service_client import GraphServiceClient

from benchmarks.credential import credential


async def main() -> None:
    """Print how many there are."""
    url = os.environ["GATEHOUSE_GRAPH_URL"]
    async with credential() as signed_in:
        client = GraphServiceClient(signed_in, scopes=[f"{url}/.default"])
        client.request_adapter.base_url = f"{url}/v1.0"
        query = ServicePrincipalsRequestBuilder.ServicePrincipalsRequestBuilderGetQueryParameters(
            filter="tags/any(t:t eq 'gatehouse')",
            select=[
                *("id", "appId", "accountEnabled", "tags", "preferredSingleSignOnMode", "loginUrl", "logoutUrl"),
                *("samlSingleSignOnSettings", "appRoleAssignmentRequired", "notificationEmailAddresses"),
                *("preferredTokenSigningKeyThumbprint", "keyCredentials", "appRoles"),
            ],
            top=999,
        )
        page = await client.service_principals.get(RequestConfiguration(query_parameters=query))
        print("service principals", len((page and page.value) or []), flush=True)


asyncio.run(main())
