"""The function index, the refusals, and keys."""

import aiohttp
import pytest

from sandbox.certificate_authority import LoopbackCertificate
from tests.host.conftest import RunningHost, serving

SERVED = [
    *("a_room", "a_seat", "echo", "endless", "failing", "forgotten", "level_admin", "level_function", "new_room"),
    *(
        "new_seat",
        "on_event",
        "on_order",
        "on_order_poison",
        "on_received",
        "posted",
        "send",
        "text",
        "thread",
        "tick",
        "yearly",
    ),
]


async def test_lists_functions_with_their_bindings(host: RunningHost) -> None:
    """The index tells route, methods and level of every function, and queue names filled from the environment."""
    async with host.client.get(f"{host.url}/admin/functions") as response:
        listed = {function["name"]: function for function in await response.json()}
    assert list(listed) == SERVED
    posted = next(binding for binding in listed["posted"]["bindings"] if binding["type"] == "httpTrigger")
    assert (posted["route"], posted["methods"], posted["authLevel"]) == ("posted", ["POST"], "ANONYMOUS")
    order = next(binding for binding in listed["on_order"]["bindings"] if binding["type"] == "queueTrigger")
    assert order["queueName"] == host.orders
    assert listed["posted"]["invoke_url_template"] == f"{host.url}/api/posted"


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("refused_route", "keeps for itself"),
        ("7up", "its name"),
        ("refused_twin", "overlap with those of 'posted'"),
        ("refused_setting", "'NOWHERE'"),
        ("refused_span", "six fields"),
        ("refused_binding", "'bad__name'"),
        ("refused_connection", "AzureWebJobsOTHER_STORAGE"),
        ("refused_parameters", "found ['extra', 'req']"),
    ],
)
async def test_leaves_out_single_functions_with_a_reason(host: RunningHost, name: str, reason: str) -> None:
    """A function that breaks a rule is not served and its sentence says which; the others run."""
    async with host.client.get(f"{host.url}/admin/host/status") as response:
        errors = (await response.json())["errors"]
    assert [error for error in errors if repr(name) in error and reason in error]
    assert len(errors) == 8


async def test_wants_keys_when_told_to(certificate: LoopbackCertificate, storage: str, master_key: str) -> None:
    """With --enable-auth a function key opens its function, the host key all of that level, the master key all."""
    async with serving(certificate, storage, "--enable-auth", SANDBOX_HOST_MASTER_KEY=master_key) as host:
        master = {"x-functions-key": master_key}

        async def status(path: str, **headers: str) -> int:
            given = {name.replace("_", "-"): value for name, value in headers.items()}
            async with host.client.get(f"{host.url}{path}", headers=given) as response:
                return response.status

        async def key(path: str) -> str:
            async with host.client.get(f"{host.url}{path}", headers=master) as response:
                return str((await response.json())["keys"][0]["value"])

        own, host_key = await key("/admin/functions/level_function/keys"), await key("/admin/host/keys")
        other = await key("/admin/functions/level_admin/keys")
        assert await status("/admin/functions") == 401
        assert await status("/api/rooms/1") == 200
        assert await status("/api/keys/function") == 401
        assert await status(f"/api/keys/function?code={own}") == 200
        assert await status(f"/api/keys/function?code={own}", x_functions_key="wrong") == 401
        assert await status("/api/keys/function", x_functions_key=host_key) == 200
        assert await status("/api/keys/function", x_functions_key=other) == 401
        assert await status("/api/keys/admin", x_functions_key=host_key) == 401
        assert await status("/api/keys/admin", x_functions_key=master_key) == 200


async def test_stops_when_asked(certificate: LoopbackCertificate, storage: str) -> None:
    """A host that is told to stop answers nobody any longer and leaves no process."""
    async with serving(certificate, storage) as host:
        url = host.url
        await host.child.stop()
        with pytest.raises(aiohttp.ClientConnectionError):
            await host.client.get(f"{url}/api/thread")
