"""What every answer of the API is held to: its published shape, and after a refusal an untouched tenant."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator, FormatChecker

from tests.world import Reply, World

SCHEMA = json.loads((Path(__file__).parents[2] / "docs" / "api.schema.json").read_text(encoding="utf-8"))
WITHIN = 60.0  # seconds on the wall until something must have happened
PROBLEM = "application/problem+json"


def shaped(name: str, body: Any) -> Any:
    """The body, once it has the published shape of this name."""
    schema = {"$ref": f"#/$defs/{name}", "$defs": SCHEMA["$defs"]}
    problems = sorted(
        str(error) for error in Draft202012Validator(schema, format_checker=FormatChecker()).iter_errors(body)
    )
    assert not problems, f"{name}: {problems[0]}"
    return body


def problem(reply: Reply, status: int, *fields: str) -> list[str]:
    """The sentences of a problem document, once it has this status and blames exactly these fields."""
    assert reply.status == status, reply.text
    assert reply.headers["Content-Type"].partition(";")[0] == PROBLEM
    shaped("problem", reply.body)
    assert reply.body["status"] == status
    blamed = [reason["field"] for reason in reply.body["reasons"]]
    if fields:
        assert sorted(blamed) == sorted(fields), reply.text
    return [reason["detail"] for reason in reply.body["reasons"]]


@asynccontextmanager
async def nothing_changes(world: World) -> AsyncIterator[None]:
    """Nothing is written to tenant or vault meanwhile, nothing mailed, and no operation opened."""
    since, mails, operations = await world.last_call(), len(await world.mailbox()), await _newest(world)
    yield
    assert await world.writes(since) == []
    assert len(await world.mailbox()) == mails
    assert await _newest(world) == operations


async def _newest(world: World) -> Any:
    reply = await world.api("GET", "/operations")
    assert reply.status == 200, reply.text
    return [operation["operation"] for operation in reply.body["items"]]


async def until(happened: Callable[[], Awaitable[bool]]) -> None:
    """Wait until something has happened."""
    async with asyncio.timeout(WITHIN):
        while True:
            if await happened():
                return
            await asyncio.sleep(0.1)
