"""Empties a storage account's queues and tables, as the sandbox's reset does."""

from azure.core.exceptions import ResourceNotFoundError
from azure.data.tables.aio import TableServiceClient
from azure.storage.queue.aio import QueueServiceClient


async def empty_storage(connection: str) -> None:
    """Remove every message and every row; queues and tables stay, for the app remembers that they exist."""
    async with QueueServiceClient.from_connection_string(connection, use_env_settings=False) as queues:
        async for queue in queues.list_queues():
            async with queues.get_queue_client(queue) as client:
                await client.clear_messages()
    async with TableServiceClient.from_connection_string(connection, use_env_settings=False) as tables:
        async for table in tables.list_tables():
            async with tables.get_table_client(table.name) as rows:
                async for row in rows.list_entities(select=["PartitionKey", "RowKey"]):
                    try:
                        await rows.delete_entity(row["PartitionKey"], row["RowKey"])
                    except ResourceNotFoundError:
                        continue  # the app removed it first
