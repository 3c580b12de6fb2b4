"""What the measured programs find in the simulated tenant."""

import ssl

import aiohttp

from sandbox.up import State

OBJECT_ID = "00000000-0000-4000-8000-000000000001"
MARKED = {
    "appId": "00000000-0000-4000-8000-000000000002",
    "displayName": "SmartTrace",
    "tags": ["gatehouse", "gatehouse:smarttrace/default"],
}


def connection(state: State) -> aiohttp.TCPConnector:
    """A connector that believes the sandbox's certificate authority."""
    return aiohttp.TCPConnector(ssl=ssl.create_default_context(cafile=state.env["SSL_CERT_FILE"]))


async def mark_one(session: aiohttp.ClientSession, state: State) -> None:
    """Put a service principal that carries our mark into the tenant, so that there is something to decode."""
    url = f"{state.control}/objects/service_principals/{OBJECT_ID}"
    async with session.put(url, json=MARKED) as response:
        response.raise_for_status()


async def fetch_token(session: aiohttp.ClientSession, state: State, resource: str = "") -> str:
    """A token, of Graph unless another resource is named, from the identity endpoint.

    learn.microsoft.com/azure/app-service/overview-managed-identity
    """
    query = {"resource": resource or state.graph, "api-version": "2019-08-01"}
    headers = {"X-IDENTITY-HEADER": state.env["IDENTITY_HEADER"]}
    async with session.get(state.env["IDENTITY_ENDPOINT"], params=query, headers=headers) as response:
        response.raise_for_status()
        return str((await response.json())["access_token"])
