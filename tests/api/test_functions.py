"""The function index: who may call what, and by which key."""

from collections.abc import Mapping
from typing import Any

from tests.api.answers import problem
from tests.api.hosts import MASTER_KEY, another_host
from tests.world import World, request

# Name of the function and of its key; methods and route.
ROUTES: Mapping[str, tuple[set[str], str]] = {
    "onboard": ({"POST"}, "onboardings"),
    "operation": ({"GET"}, "operations/{operation}"),
    "operations": ({"GET"}, "operations"),
    "replay": ({"POST"}, "operations/{operation}/replay"),
    "release": ({"POST"}, "operations/{operation}/release"),
    "applications": ({"GET"}, "applications"),
    "application": ({"GET"}, "applications/{vendor}/{instance}"),
    "offboard": ({"DELETE"}, "applications/{vendor}/{instance}"),
    "parameters": ({"PUT"}, "applications/{vendor}/{instance}/parameters"),
    "handoff": ({"POST"}, "applications/{vendor}/{instance}/handoffs"),
    "assign": ({"POST"}, "applications/{vendor}/{instance}/assignments"),
    "rotate": ({"POST"}, "applications/{vendor}/{instance}/rotations"),
    "acknowledge": ({"POST"}, "applications/{vendor}/{instance}/acknowledgements"),
    "vendors": ({"GET"}, "vendors"),
    "vendor": ({"GET"}, "vendors/{vendor}"),
    "hr_events": ({"POST"}, "hr-events"),
    "hr_events_bamboohr": ({"POST"}, "hr-events/bamboohr"),
    "preview_entitlements": ({"POST"}, "entitlements/preview"),
    "health": ({"GET"}, "health"),
    "page": ({"GET", "HEAD", "POST"}, "handoffs/{token}"),
}
QUEUES = {
    "run_onboarding": "onboardings",
    "run_rotation": "rotations",
    "run_assignment": "assignments",
    "run_hr_event": "hr-events",
    "poisoned_onboarding": "onboardings-poison",
    "poisoned_assignment": "assignments-poison",
    "poisoned_rotation": "rotations-poison",
    "poisoned_hr_event": "hr-events-poison",
}
TIMERS = {"sweep", "find_due", "summary", "reconcile"}
ANONYMOUS = {"page", "hr_events", "hr_events_bamboohr"}
MASTER = "master-key-of-a-test"


async def _bindings(world: World) -> dict[str, dict[str, Any]]:
    """The trigger of every function, as the host has indexed it."""
    reply = await world._call("GET", f"{world.state.host}/admin/functions")  # noqa: SLF001  # outside the app's /api
    triggers = {}
    for function in reply.body:
        (triggers[function["name"]],) = [b for b in function["bindings"] if str(b["type"]).lower().endswith("trigger")]
    return triggers


async def test_nothing_but_page_and_webhooks_is_anonymous(running_world: World) -> None:
    """Every HTTP function but the vendor's page and the webhooks asks for a function key of its own name."""
    triggers = await _bindings(running_world)
    levels = {n: str(t["authLevel"]).lower() for n, t in triggers.items() if t["type"] == "httpTrigger"}
    assert {name for name, level in levels.items() if level == "anonymous"} == ANONYMOUS
    assert {level for name, level in levels.items() if name not in ANONYMOUS} == {"function"}


async def test_every_function_is_the_one_of_the_design(running_world: World) -> None:
    """Names, methods, routes and queues are those that the documentation names, and no others."""
    triggers = await _bindings(running_world)
    http = {
        name: ({str(method).upper() for method in trigger["methods"]}, trigger["route"])
        for name, trigger in triggers.items()
        if trigger["type"] == "httpTrigger"
    }
    assert http == ROUTES
    queues = {name: t["queueName"] for name, t in triggers.items() if t["type"] == "queueTrigger"}
    assert queues == QUEUES
    assert {name for name, t in triggers.items() if t["type"] == "timerTrigger"} == TIMERS
    assert {name for name, t in triggers.items() if t["type"] == "eventGridTrigger"} == {"secret_near_expiry"}


async def test_keys_open_their_own_function_and_no_other(running_world: World) -> None:
    """Where keys are asked for, a ticket system that holds `onboard` and `operation` can call nothing else."""
    async with another_host(running_world, {MASTER_KEY: MASTER}, "--enable-auth") as host:
        keys = {}
        for name in ROUTES:
            answer = await host.call("GET", f"/admin/functions/{name}/keys", **{"x-functions-key": MASTER})
            keys[name] = answer.body["keys"][0]["value"]
        addresses = {
            name: (next(iter(methods)), "/api/" + route.replace("{", "").replace("}", ""))
            for name, (methods, route) in ROUTES.items()
            if name not in ANONYMOUS
        }
        for name, (method, path) in addresses.items():
            assert (await host.call(method, path)).status == 401
            for key in ("wrong", keys["onboard" if name != "onboard" else "operation"]):
                assert (await host.call(method, path, **{"x-functions-key": key})).status == 401
        bad = request("thoropass", owner="nobody@contoso.com")
        problem(await host.call("POST", "/api/onboardings", bad, **{"x-functions-key": keys["onboard"]}), 400, "owner")
        asked = await host.call("GET", "/api/operations/unknown", **{"x-functions-key": keys["operation"]})
        problem(asked, 404, "operation")
        assert (await host.call("GET", f"/api/handoffs/{'x' * 43}")).status == 404
