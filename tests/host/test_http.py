"""HTTP triggers over the wire: functions-host-contract, section 2."""

from collections.abc import AsyncIterator

import pytest
from aiohttp import ClientResponse

from tests.host.conftest import RunningHost


async def _text(response: ClientResponse) -> tuple[int, str]:
    async with response:
        return response.status, await response.text()


async def test_shows_the_request_to_the_function(host: RunningHost) -> None:
    """Header names arrive in lower case, repeated query keys joined by a comma, empty query values not at all."""
    url = f"{host.url}/api/echo/%41da%2Fb?k=1&k=2&empty=&last=x"
    async with host.client.post(url, data=b"body", headers={"X-Own-Header": "Value"}) as response:
        seen = await response.json()
    assert seen["method"] == "POST"
    assert seen["url"].startswith(f"{host.url}/api/echo/")
    assert seen["headers"]["x-own-header"] == "Value"
    assert not any(name != name.lower() for name in seen["headers"])
    assert seen["params"] == {"k": "1,2", "last": "x"}
    assert seen["route"] == {"name": "Ada%2Fb"}
    assert seen["body"] == "body"
    assert seen["function"] == "echo"
    assert seen["folder_last"]


async def test_ignores_case_and_optional_segments_in_routes(host: RunningHost) -> None:
    """A route matches whatever its case is, with or without its optional parameter."""
    async with host.client.get(f"{host.url}/API/Echo/x/Y") as response:
        assert (await response.json())["route"] == {"name": "x", "rest": "Y"}
    async with host.client.get(f"{host.url}/api/echo/x/y/z") as response:
        assert response.status == 404


async def test_leaves_out_a_body_without_a_length(host: RunningHost) -> None:
    """A chunked request arrives with an empty body."""

    async def chunks() -> AsyncIterator[bytes]:
        yield b"lost"

    async with host.client.post(f"{host.url}/api/echo/x", data=chunks()) as response:
        assert (await response.json())["body"] == ""


async def test_tries_routes_in_the_alphabetical_order_of_names(host: RunningHost) -> None:
    """The first function by name wins, not the more precise route; a constraint makes room for the other."""
    assert await _text(await host.client.get(f"{host.url}/api/rooms/new")) == (200, "room new")
    assert await _text(await host.client.get(f"{host.url}/api/seats/new")) == (200, "new seat")
    assert await _text(await host.client.get(f"{host.url}/api/seats/12")) == (200, "seat 12")


@pytest.mark.parametrize("method", ["GET", "PUT", "HEAD"])
async def test_answers_another_method_as_unknown(host: RunningHost, method: str) -> None:
    """A method that the function does not list is 404, not 405."""
    async with host.client.request(method, f"{host.url}/api/posted") as response:
        assert response.status == 404


async def test_passes_a_response_through(host: RunningHost) -> None:
    """Status, headers, every cookie and the bytes of an HttpResponse arrive as they are."""
    async with host.client.post(f"{host.url}/api/posted") as response:
        assert response.status == 201
        assert response.headers["Location"] == "/api/rooms/7"
        assert response.headers.getall("Set-Cookie") == ["a=1; Path=/", "b=2; Secure"]
        assert await response.read() == b"\x00made"


async def test_runs_sync_functions_in_threads(host: RunningHost) -> None:
    """A function without a route has its own name as the route, and a sync one does not hold up the loop."""
    assert await _text(await host.client.get(f"{host.url}/api/thread")) == (200, "True")


@pytest.mark.parametrize("route", ["failing", "forgotten", "endless"])
async def test_answers_a_failure_with_500_and_nothing_else(host: RunningHost, route: str) -> None:
    """An exception, a missing answer and a function that outlasts its time are 500 with an empty body."""
    assert await _text(await host.client.get(f"{host.url}/api/{route}")) == (500, "")


@pytest.mark.parametrize(
    ("returned", "status", "answered"),
    [
        ("plain", 200, "plain"),
        ('{"body": "x", "status": 418}', 418, "x"),
        ('{"a":[1]}', 200, '{\n  "a": [\n    1\n  ]\n}'),
        ('"abc"', 200, "abc"),
        ("true", 200, "True"),
        ("null", 200, ""),
    ],
)
async def test_reads_a_plain_text_as_json(host: RunningHost, returned: str, status: int, answered: str) -> None:
    """A str is no HttpResponse: the host reads it as JSON, and an object with a body as a response."""
    assert await _text(await host.client.post(f"{host.url}/api/text", data=returned)) == (status, answered)


async def test_asks_for_no_keys_by_default(host: RunningHost) -> None:
    """As in Core Tools, levels are shown in the index and not enforced unless asked for."""
    assert await _text(await host.client.get(f"{host.url}/api/keys/admin")) == (200, "admin")
