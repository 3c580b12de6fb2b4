"""The control plane: what a test or the demo sees of the tenant, and where it steps in; no tenant has this port."""

from collections.abc import Mapping
from dataclasses import asdict, fields, replace
from typing import Any, get_args

from aiohttp import web

from sandbox.blank_objects import blank_application, blank_service_principal
from sandbox.clock import graph_time, parse_time
from sandbox.directory import Directory
from sandbox.tenant import Presets, SandboxTenant, VendorSides

KINDS = ("users", "groups", "applications", "service_principals", "grants", "assignments")


def routes(tenant: SandboxTenant) -> list[web.RouteDef]:
    """Return the control plane's routes."""
    control = Control(tenant)
    return [
        web.get("/calls", control.calls),
        web.get("/mailbox", control.mailbox),
        web.get("/dump", control.dump),
        web.get("/clock", control.clock),
        web.put("/clock", control.set_clock),
        web.get("/switches", control.switches),
        web.put("/switches", control.set_switches),
        web.put("/objects/{kind}/{id}", control.put_object),
        web.delete("/objects/{kind}/{id}", control.delete_object),
        web.post("/collect", control.collect),
        web.post("/sign-in", control.sign_in),
        web.post("/reset", control.reset),
    ]


class Control:
    """One method for each route."""

    def __init__(self, tenant: SandboxTenant) -> None:
        self._tenant = tenant

    async def calls(self, request: web.Request) -> web.Response:
        """List the calls after a sequence number."""
        since = request.query.get("since", "0")
        if not since.isdecimal():
            raise _bad(f"Expected a sequence number in 'since', found '{since}'.")
        return web.json_response(self._tenant.calls.since(int(since)))

    async def mailbox(self, _: web.Request) -> web.Response:
        """List every mail."""
        return web.json_response([message.to_json() for message in self._tenant.mailbox.messages])

    async def dump(self, _: web.Request) -> web.Response:
        """Show the tenant: Graph's objects under Graph's names, the vault without values."""
        return web.json_response(dump(self._tenant))

    async def clock(self, _: web.Request) -> web.Response:
        """Tell the sandbox's time and its rate."""
        clock = self._tenant.clock
        return web.json_response({"now": graph_time(clock.now()), "rate": clock.rate})

    async def set_clock(self, request: web.Request) -> web.Response:
        """Set the sandbox's time, and its rate where one is given."""
        body = await _object(request)
        rate = body.get("rate")
        try:
            now = parse_time(str(body["now"]))
            self._tenant.clock.set(now, None if rate is None else float(rate))
        except (KeyError, TypeError, ValueError) as problem:
            raise _bad(f"Expected {{now: ISO 8601, rate?: number}}, found {sorted(body)}: {problem}.") from problem
        return await self.clock(request)

    async def switches(self, _: web.Request) -> web.Response:
        """Show what a test may choose between."""
        return web.json_response(asdict(self._tenant.switches))

    async def set_switches(self, request: web.Request) -> web.Response:
        """Choose; what is not named stays."""
        body = await _object(request)
        types = {
            field.name: type(getattr(self._tenant.switches, field.name)) for field in fields(self._tenant.switches)
        }
        for name, value in body.items():
            if name not in types or not isinstance(value, types[name]):
                raise _bad(f"Expected switches among {', '.join(types)}; found '{name}': {value!r}.")
        if body.get("presets", "none") not in get_args(Presets):
            raise _bad(f"Expected one of {', '.join(get_args(Presets))} for 'presets'; found '{body['presets']}'.")
        self._tenant.switches = replace(self._tenant.switches, **body)
        return await self.switches(request)

    async def put_object(self, request: web.Request) -> web.Response:
        """Merge properties into an object of the tenant, or make it: the hand of an administrator."""
        objects, object_id = self._objects(request), request.match_info["id"]
        body = await _object(request)
        old = objects.get(object_id) or self._blank(request.match_info["kind"], object_id, body)
        changed = {**old, **body, "id": object_id}
        objects[object_id] = changed
        return web.json_response(changed)

    def _blank(self, kind: str, object_id: str, body: dict[str, Any]) -> dict[str, Any]:
        name, client_id = str(body.get("displayName")), str(body.get("appId"))
        if kind == "applications":
            return blank_application(object_id, client_id, name, graph_time(self._tenant.clock.now()), "")
        if kind == "service_principals":
            return blank_service_principal(object_id, client_id, name, self._tenant.directory.tenant_id)
        return {}

    async def delete_object(self, request: web.Request) -> web.Response:
        """Take an object away without a trace, as an administrator may."""
        if self._objects(request).pop(request.match_info["id"], None) is None:
            raise web.HTTPNotFound(text="There is no such object; GET /dump lists them all.")
        return web.Response(status=204)

    async def collect(self, request: web.Request) -> web.Response:
        """Let a vendor's side read its mail, collect, set itself up and acknowledge."""
        vendor, instance = await _texts(request, "vendor", "instance")
        return web.json_response(await self._vendors().collect(vendor, instance))

    async def sign_in(self, request: web.Request) -> web.Response:
        """Sign a person in at a vendor."""
        vendor, instance, user = await _texts(request, "vendor", "instance", "user")
        return web.json_response(await self._vendors().sign_in(vendor, instance, user))

    async def reset(self, _: web.Request) -> web.Response:
        """Bring everything back to the seed."""
        await self._tenant.reset()
        return web.Response(status=204)

    def _vendors(self) -> VendorSides:
        if self._tenant.vendors is None:
            raise web.HTTPServiceUnavailable(text="The vendors' sides are not running: start the whole sandbox.")
        return self._tenant.vendors

    def _objects(self, request: web.Request) -> dict[str, dict[str, Any]]:
        kind = request.match_info["kind"]
        if kind not in KINDS:
            raise web.HTTPNotFound(text=f"Expected one of {', '.join(KINDS)}; found '{kind}'.")
        objects: dict[str, dict[str, Any]] = getattr(self._tenant.directory, kind)
        return objects


def dump(tenant: SandboxTenant) -> dict[str, Any]:
    """Return the tenant as JSON, with nothing secret in it."""
    return {**{kind: _shown(tenant.directory, kind) for kind in KINDS}, "vault": tenant.vault.dump()}


def _shown(directory: Directory, kind: str) -> list[Mapping[str, Any]]:
    objects: dict[str, dict[str, Any]] = getattr(directory, kind)
    if kind != "groups":
        return list(objects.values())
    return [{**group, "members": sorted(directory.members.get(object_id, ()))} for object_id, group in objects.items()]


async def _object(request: web.Request) -> dict[str, Any]:
    try:
        body = await request.json()
    except ValueError as problem:
        raise _bad("Expected a JSON object as the body.") from problem
    if not isinstance(body, dict):
        raise _bad("Expected a JSON object as the body.")
    return body


async def _texts(request: web.Request, *names: str) -> list[str]:
    body = {"instance": "default", **await _object(request)}
    missing = [name for name in names if not isinstance(body.get(name), str)]
    if missing:
        raise _bad(f"Expected texts for {', '.join(names)}; missing: {', '.join(missing)}.")
    return [body[name] for name in names]


def _bad(message: str) -> web.HTTPBadRequest:
    return web.HTTPBadRequest(text=message)
