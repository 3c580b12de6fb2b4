"""The control plane: what a test or the demo sees of the tenant, and where it steps in; no tenant has this port."""

import asyncio
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from aiohttp import web

from sandbox.blank_objects import blank_application, blank_service_principal
from sandbox.clock import graph_time, parse_time
from sandbox.directory import Directory
from sandbox.first_party import grant_permissions, granted_permissions
from sandbox.graph.synchronisation import synchronise
from sandbox.tenant import SandboxTenant, VendorSides
from sandbox.unkind.plan import PlanError, read_plan
from sandbox.unkind.switches import SwitchError, chosen

MOST_RATE = 100_000
LONGEST_WAIT = 60.0
"""Wall seconds."""
KINDS = ("users", "groups", "applications", "service_principals", "grants", "assignments", "app_management_policies")


def routes(tenant: SandboxTenant) -> list[web.RouteDef]:
    """Return the control plane's routes."""
    control = Control(tenant)
    return [
        web.get("/calls", control.calls),
        web.delete("/calls", control.forget_calls),
        web.get("/mailbox", control.mailbox),
        web.get("/mailbox/delayed", control.delayed),
        web.get("/dump", control.dump),
        web.get("/events", control.events),
        web.get("/clock", control.clock),
        web.put("/clock", control.set_clock),
        web.get("/switches", control.switches),
        web.put("/switches", control.set_switches),
        web.get("/permissions", control.permissions),
        web.put("/permissions", control.set_permissions),
        web.get("/faults", control.faults),
        web.put("/faults", control.set_faults),
        web.put("/objects/{kind}/{id}", control.put_object),
        web.delete("/objects/{kind}/{id}", control.delete_object),
        web.put("/vendors/{vendor}", control.set_vendor),
        web.post("/collect", control.collect),
        web.post("/sign-in", control.sign_in),
        web.put("/kept/{name}", control.keep),
        web.post("/reset", control.reset),
    ]


class Control:
    """One method for each route."""

    def __init__(self, tenant: SandboxTenant) -> None:
        self._tenant = tenant

    async def calls(self, request: web.Request) -> web.Response:
        """List the calls after a sequence number."""
        return web.json_response(self._tenant.calls.since(_since(request)))

    async def forget_calls(self, _: web.Request) -> web.Response:
        """Forget the calls until now; later ones are numbered on."""
        self._tenant.calls.forget()
        return web.Response(status=204)

    async def mailbox(self, _: web.Request) -> web.Response:
        """List every mail."""
        return web.json_response([message.to_json() for message in self._tenant.mailbox.messages])

    async def delayed(self, _: web.Request) -> web.Response:
        """List the mails that are still on their way."""
        return web.json_response(
            [{**message.to_json(), "arrives": graph_time(arrives)} for arrives, message in self._tenant.mailbox.delayed]
        )

    async def dump(self, _: web.Request) -> web.Response:
        """Show the tenant: Graph's objects under Graph's names, the vault without values."""
        synchronise(self._tenant)
        return web.json_response(dump(self._tenant))

    async def events(self, _: web.Request) -> web.Response:
        """List what the vault has raised, and how its delivery goes."""
        return web.json_response([event.facts() for event in self._tenant.vault_events.raised])

    async def clock(self, _: web.Request) -> web.Response:
        """Tell the sandbox's time and its rate."""
        clock = self._tenant.clock
        return web.json_response({"now": graph_time(clock.now()), "rate": clock.rate})

    async def set_clock(self, request: web.Request) -> web.Response:
        """Set the sandbox's time, its rate, or both."""
        body = await _object(request)
        now, rate = body.get("now"), body.get("rate")
        try:
            moment = None if now is None else parse_time(str(now))
            pace = None if rate is None else float(rate)
        except (TypeError, ValueError) as problem:
            raise _bad(f"Expected {{now?: RFC 3339, rate?: number}}, found {body}: {problem}.") from problem
        if moment is None and pace is None:
            raise _bad(f"Expected now, rate or both; found {sorted(body)}.")
        if pace is not None and not 0 < pace <= MOST_RATE:
            raise _bad(f"Expected a rate above 0 and at most {MOST_RATE}; found {pace}.")
        clock = self._tenant.clock
        if moment is not None and moment < clock.now():
            # Replicas know the future of a clock that goes back; they have it now.
            self._tenant.unkind.replicas.catch_up()
        clock.set(moment, pace)
        return await self.clock(request)

    async def switches(self, _: web.Request) -> web.Response:
        """Show what a test may choose between."""
        return web.json_response(asdict(self._tenant.switches))

    async def set_switches(self, request: web.Request) -> web.Response:
        """Choose; what is not named stays."""
        try:
            self._tenant.switches = chosen(self._tenant.switches, await _object(request))
        except SwitchError as problem:
            raise _bad(str(problem)) from problem
        return await self.switches(request)

    async def permissions(self, _: web.Request) -> web.Response:
        """Show the application permissions of the app's own identity."""
        return web.json_response(granted_permissions(self._tenant.directory))

    async def set_permissions(self, request: web.Request) -> web.Response:
        """Grant exactly these; they stand in the tokens that are issued from now on."""
        names = await _json(request)
        try:
            grant_permissions(self._tenant.directory, names, graph_time(self._tenant.clock.now()))
        except ValueError as problem:
            raise _bad(str(problem)) from problem
        return await self.permissions(request)

    async def faults(self, request: web.Request) -> web.Response:
        """Tell the seed, the plan, which calls met something (after the first `since`), and which came too early."""
        gate = self._tenant.unkind.gate
        return web.json_response(
            {
                "seed": self._tenant.seed,
                "plan": [planned.to_json() for planned in gate.plan],
                "hits": gate.hits[_since(request) :],
                "impatient": gate.impatient,
            }
        )

    async def set_faults(self, request: web.Request) -> web.Response:
        """Follow another plan, and release what the last one has parked."""
        try:
            self._tenant.unkind.gate.follow(read_plan(await _json(request)))
        except PlanError as problem:
            raise _bad(str(problem)) from problem
        return await self.faults(request)

    async def put_object(self, request: web.Request) -> web.Response:
        """Merge properties into an object of the tenant, or make it: the hand of an administrator."""
        objects, object_id = self._objects(request), request.match_info["id"]
        body = await _object(request)
        old = objects.get(object_id) or self._blank(request.match_info["kind"], object_id, body)
        changed = {**old, **body, "id": object_id}
        objects[object_id] = changed
        self._tenant.unkind.replicas.forget(request.match_info["kind"], object_id)
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
        self._tenant.unkind.replicas.forget(request.match_info["kind"], request.match_info["id"])
        return web.Response(status=204)

    async def collect(self, request: web.Request) -> web.Response:
        """Let a vendor's side read its mail, collect, set itself up and acknowledge."""
        vendor, instance = await _texts(request, "vendor", "instance")
        await self._mails_arrive()
        return web.json_response(await self._vendors().collect(vendor, instance))

    async def set_vendor(self, request: web.Request) -> web.Response:
        """Choose how many secrets or certificates a vendor's side keeps, and how often it reads metadata again."""
        body = await _object(request)
        slots, poll_hours = body.get("slots"), body.get("poll_hours")
        if set(body) - {"slots", "poll_hours"} or not (slots is None or (type(slots) is int and slots > 0)):
            raise _bad("Expected {slots?: a number from 1 on, poll_hours?: hours or null}.")
        if not (poll_hours is None or (type(poll_hours) in {int, float} and poll_hours > 0)):
            raise _bad(f"Expected hours above 0 in 'poll_hours'; found {poll_hours!r}.")
        if not self._vendors().choose(request.match_info["vendor"], slots, poll_hours):
            raise web.HTTPNotFound(text="There is no such vendor.")
        return web.Response(status=204)

    async def sign_in(self, request: web.Request) -> web.Response:
        """Sign a person in at a vendor."""
        vendor, instance, user = await _texts(request, "vendor", "instance", "user")
        return web.json_response(await self._vendors().sign_in(vendor, instance, user))

    async def keep(self, request: web.Request) -> web.Response:
        """Keep how everything is now, to come back to it."""
        synchronise(self._tenant)
        self._tenant.keep(request.match_info["name"])
        return web.Response(status=204)

    async def reset(self, request: web.Request) -> web.Response:
        """Bring everything back to the seed, or to what was kept under the name in `to`."""
        to = request.query.get("to")
        if to is not None and not self._tenant.knows(to):
            raise web.HTTPNotFound(text=f"Nothing was kept as '{to}'; PUT /kept/{{name}} does that.")
        await self._tenant.reset(to)
        return web.Response(status=204)

    async def _mails_arrive(self) -> None:
        """Wait for the mails that are on their way now: whoever is to read one looks when it has come."""
        last = max((arrives for arrives, _ in self._tenant.mailbox.delayed), default=None)
        if last is not None:
            seconds = (last - self._tenant.clock.now()).total_seconds()
            await asyncio.sleep(min(max(seconds, 0) / self._tenant.clock.rate, LONGEST_WAIT))

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


def _since(request: web.Request) -> int:
    since = request.query.get("since", "0")
    if not since.isdecimal():
        raise _bad(f"Expected a sequence number in 'since', found '{since}'.")
    return int(since)


async def _json(request: web.Request) -> Any:
    try:
        return await request.json()
    except ValueError as problem:
        raise _bad("Expected JSON as the body.") from problem


async def _object(request: web.Request) -> dict[str, Any]:
    body = await _json(request)
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
