"""What people with rights in the tenant and the storage account do by hand, past Gatehouse, over the same wires."""

from typing import Any

import aiohttp
from azure.core.exceptions import ResourceNotFoundError
from azure.data.tables.aio import TableServiceClient

from tests.world import World


async def graph(world: World, method: str, path: str, body: Any = None) -> Any:
    """Call Graph with every application permission that the tenant has given away; `path` begins behind `/v1.0`."""
    environment, url = world.state.env, world.state.graph
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=world.tls)) as session:
        async with session.get(
            environment["IDENTITY_ENDPOINT"],
            params={"api-version": "2019-08-01", "resource": url},
            headers={"X-IDENTITY-HEADER": environment["IDENTITY_HEADER"]},
        ) as answer:
            token = (await answer.json())["access_token"]
        headers = {"Authorization": f"Bearer {token}"}
        async with session.request(method, f"{url}/v1.0{path}", json=body, headers=headers) as answer:
            text = await answer.text()
            assert answer.status < 300, text
            return await answer.json() if text else None


async def delete_application(world: World, vendor: str) -> str:
    """Delete the application of a vendor as an administrator does, for 30 days; returns its object ID."""
    object_id = str((await world.application(vendor))["id"])
    await graph(world, "DELETE", f"/applications/{object_id}")
    return object_id


async def user(world: World, name: str) -> dict[str, Any]:
    """The user object of somebody of contoso.com."""
    users = (await world.dump())["users"]
    return next(dict(found) for found in users if found["userPrincipalName"] == f"{name}@contoso.com")


async def group(world: World, name: str) -> dict[str, Any]:
    """The group with this display name."""
    return next(dict(found) for found in (await world.dump())["groups"] if found["displayName"] == name)


async def change(world: World, kind: str, object_id: str, **properties: Any) -> None:
    """Change properties of an object, or make it."""
    await world.control("PUT", f"/objects/{kind}/{object_id}", properties)


async def remove(world: World, kind: str, object_id: str) -> None:
    """Take an object away without a trace."""
    await world.control("DELETE", f"/objects/{kind}/{object_id}")


async def wipe_ledger(world: World) -> int:
    """Delete every row of the app's table; returns how many there were."""
    count = 0
    async with TableServiceClient.from_connection_string(world.state.storage) as service:
        table = service.get_table_client("gatehouse")
        async for row in table.list_entities(select=["PartitionKey", "RowKey"]):
            try:
                await table.delete_entity(row["PartitionKey"], row["RowKey"])
            except ResourceNotFoundError:
                continue  # a lease that its run gave back meanwhile
            count += 1
    return count
