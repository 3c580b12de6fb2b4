"""The triggers and their bindings; errors become statuses here and nowhere else.

A function's name is also the name of its key: a ticket system holds `onboard` and `operation`, and no other.
"""

import json
import logging
import uuid
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import azure.functions as func

import handlers  # its stories are imported at their first use
from sso.caller import Caller, Role, signed_in_caller
from sso.errors import GatehouseError, NotReady, Reason, Refused, TenantError

if TYPE_CHECKING:
    import handlers.applications
    import handlers.assignment
    import handlers.entitlements
    import handlers.handoff
    import handlers.health
    import handlers.hr_event
    import handlers.intake
    import handlers.offboarding
    import handlers.onboarding
    import handlers.operations
    import handlers.reconcile
    import handlers.retention
    import handlers.rotation
    import handlers.summary
    import handlers.webhooks
    from clients.tenant import Tenant
    from sso.model import Key
    from sso.operation import Operation
    from sso.steps import Plan
    from sso.webhooks import Delivery

app = func.FunctionApp(http_auth_level=func.AuthLevel.FUNCTION)
log = logging.getLogger("gatehouse")
# They log every address they call, at the level of our own lines, and Graph's addresses name people
# ("…/users?$filter=userPrincipalName eq 'b.simon@…'"). host.json sets levels by function, not by library.
for library in ("httpx", "azure"):
    logging.getLogger(library).setLevel(logging.WARNING)

STORAGE = "AzureWebJobsStorage"
ONBOARDING_LIMIT = 32 * 1024  # bytes of an onboarding's body
BODY_LIMIT = 128 * 1024  # bytes of any other
RETRY_AFTER = "5"  # seconds after which an accepted operation is worth a look
PROBLEM = "application/problem+json"  # RFC 9457

_connected: dict[str, "Tenant"] = {}


def now() -> datetime:
    """The clock: the only place that reads it."""
    return datetime.now(UTC)


def tenant() -> "Tenant":
    """The tenant of this process, opened with the first event; raises `TenantError` that names every bad setting."""
    if "tenant" not in _connected:
        # Imported with the first event, as the stories are.
        from clients.settings import read_settings  # noqa: PLC0415
        from clients.tenant import Tenant  # noqa: PLC0415

        _connected["tenant"] = Tenant.connect(read_settings())
    return _connected["tenant"]


# HTTP


@app.route("onboardings", methods=["POST"])
async def onboard(req: func.HttpRequest) -> func.HttpResponse:
    """Accept an onboarding, or with `?mode=plan` say what it would do."""

    async def story(caller: "Caller") -> func.HttpResponse:

        if mode(req) == "plan":
            found = await handlers.intake.preview(tenant(), body_of(req, ONBOARDING_LIMIT), now())
            return reply(steps_of(found))
        return accepted(await handlers.intake.accept(tenant(), body_of(req, ONBOARDING_LIMIT), caller, now()))

    return await answer(req, "Gatehouse.Onboard", story)


@app.route("operations/{operation}", methods=["GET"])
async def operation(req: func.HttpRequest) -> func.HttpResponse:
    """One operation."""

    async def story(_: "Caller") -> func.HttpResponse:

        return reply(shown(await handlers.operations.find(tenant(), req.route_params["operation"])))

    return await answer(req, "Gatehouse.Read", story)


@app.route("operations", methods=["GET"])
async def operations(req: func.HttpRequest) -> func.HttpResponse:
    """Operations, newest first."""

    async def story(_: "Caller") -> func.HttpResponse:

        query = req.params
        found, after = await handlers.operations.page(
            tenant(), state=query.get("state"), vendor=query.get("vendor"), after=query.get("after")
        )
        return listed(req, [shown(entry) for entry in found], after)

    return await answer(req, "Gatehouse.Read", story)


@app.route("operations/{operation}/replay", methods=["POST"])
async def replay(req: func.HttpRequest) -> func.HttpResponse:
    """Run a failed or waiting operation again."""

    async def story(_: "Caller") -> func.HttpResponse:

        return accepted(await handlers.operations.replay(tenant(), req.route_params["operation"], now()))

    return await answer(req, "Gatehouse.Operate", story)


@app.route("operations/{operation}/release", methods=["POST"])
async def release(req: func.HttpRequest) -> func.HttpResponse:
    """Let go on what the brake has stopped."""

    async def story(_: "Caller") -> func.HttpResponse:

        return accepted(await handlers.operations.release(tenant(), req.route_params["operation"]))

    return await answer(req, "Gatehouse.Operate", story)


@app.route("applications", methods=["GET"])
async def applications(req: func.HttpRequest) -> func.HttpResponse:
    """Every onboarded application, a line each."""

    async def story(_: "Caller") -> func.HttpResponse:

        lines, after = await handlers.applications.page(tenant(), req.params.get("after"))
        return listed(req, lines, after)

    return await answer(req, "Gatehouse.Read", story)


@app.route("applications/{vendor}/{instance}", methods=["GET"])
async def application(req: func.HttpRequest) -> func.HttpResponse:
    """One application, live."""

    async def story(_: "Caller") -> func.HttpResponse:

        return reply(await handlers.applications.find(tenant(), key_of(req), now()))

    return await answer(req, "Gatehouse.Read", story)


@app.route("applications/{vendor}/{instance}", methods=["DELETE"])
async def offboard(req: func.HttpRequest) -> func.HttpResponse:
    """Take an application out of use, or with `?mode=plan` say what that would do."""

    async def story(caller: Caller) -> func.HttpResponse:
        if mode(req) == "plan":
            return reply(steps_of(await handlers.offboarding.preview(tenant(), key_of(req), now())))
        return accepted(await handlers.offboarding.accept(tenant(), key_of(req), caller, now()))

    return await answer(req, "Gatehouse.Operate", story)


@app.route("applications/{vendor}/{instance}/parameters", methods=["PUT"])
async def parameters(req: func.HttpRequest) -> func.HttpResponse:
    """Values that the vendor supplied."""

    async def story(caller: "Caller") -> func.HttpResponse:

        key = key_of(req)
        return accepted(await handlers.intake.supply(tenant(), key, body_of(req, BODY_LIMIT), caller, now()))

    return await answer(req, "Gatehouse.Operate", story)


@app.route("applications/{vendor}/{instance}/handoffs", methods=["POST"])
async def handoff(req: func.HttpRequest) -> func.HttpResponse:
    """A new hand-off."""

    async def story(caller: "Caller") -> func.HttpResponse:

        return accepted(await handlers.intake.hand_off_again(tenant(), key_of(req), caller, now()))

    return await answer(req, "Gatehouse.Operate", story)


@app.route("applications/{vendor}/{instance}/assignments", methods=["POST"])
async def assign(req: func.HttpRequest) -> func.HttpResponse:
    """Give and take access, or with `?mode=plan` say what that would do."""

    async def story(caller: Caller) -> func.HttpResponse:
        key, body = key_of(req), body_of(req, BODY_LIMIT)
        if mode(req) == "plan":
            return reply(await handlers.assignment.preview(tenant(), key, body, now()))
        return accepted(await handlers.assignment.accept(tenant(), key, body, caller, now()))

    return await answer(req, "Gatehouse.Operate", story)


@app.route("applications/{vendor}/{instance}/rotations", methods=["POST"])
async def rotate(req: func.HttpRequest) -> func.HttpResponse:
    """Rotate the client secret now; `compromised` retires the old one at once."""

    async def story(caller: Caller) -> func.HttpResponse:
        return accepted(await handlers.rotation.rotate(tenant(), key_of(req), body_of(req, BODY_LIMIT), caller, now()))

    return await answer(req, "Gatehouse.Operate", story)


@app.route("applications/{vendor}/{instance}/acknowledgements", methods=["POST"])
async def acknowledge(req: func.HttpRequest) -> func.HttpResponse:
    """The vendor said by mail or telephone that a credential is installed."""

    async def story(_: "Caller") -> func.HttpResponse:

        key = key_of(req)
        return reply(await handlers.applications.acknowledge(tenant(), key, body_of(req, BODY_LIMIT), now()))

    return await answer(req, "Gatehouse.Operate", story)


@app.route("vendors", methods=["GET"])
async def vendors(req: func.HttpRequest) -> func.HttpResponse:
    """The catalogue."""

    async def story(_: "Caller") -> func.HttpResponse:

        return listed(req, handlers.applications.vendors(tenant()), None)

    return await answer(req, "Gatehouse.Read", story)


@app.route("vendors/{vendor}", methods=["GET"])
async def vendor(req: func.HttpRequest) -> func.HttpResponse:
    """One vendor's profile and parameters."""

    async def story(_: "Caller") -> func.HttpResponse:

        return reply(handlers.applications.vendor(tenant(), req.route_params["vendor"]))

    return await answer(req, "Gatehouse.Read", story)


@app.route("hr-events", methods=["POST"], auth_level=func.AuthLevel.ANONYMOUS)
async def hr_events(req: func.HttpRequest) -> func.HttpResponse:
    """HR events as CloudEvents, with a signature or, where callers sign in, from one who may operate."""

    async def story(_: Caller) -> func.HttpResponse:
        principal = req.headers.get("x-ms-client-principal")
        signed_in = tenant().settings.require_signed_in and principal
        caller = signed_in_caller(principal, "Gatehouse.Operate") if signed_in else None
        return taken(await handlers.webhooks.accept(tenant(), delivery_of(req), caller, now()))

    return await answer(req, None, story)


@app.route("hr-events/bamboohr", methods=["POST"], auth_level=func.AuthLevel.ANONYMOUS)
async def hr_events_bamboohr(req: func.HttpRequest) -> func.HttpResponse:
    """BambooHR's own webhook, by its own signature."""

    async def story(_: Caller) -> func.HttpResponse:
        return taken(await handlers.webhooks.accept_bamboohr(tenant(), delivery_of(req), now()))

    return await answer(req, None, story)


@app.route("entitlements/preview", methods=["POST"])
async def preview_entitlements(req: func.HttpRequest) -> func.HttpResponse:
    """What an HR event or changed rules would do; nothing is written."""

    async def story(_: Caller) -> func.HttpResponse:
        return reply(await handlers.entitlements.preview(tenant(), body_of(req, BODY_LIMIT), now()))

    return await answer(req, "Gatehouse.Read", story)


@app.route("health", methods=["GET"])
async def health(req: func.HttpRequest) -> func.HttpResponse:
    """Everything that an onboarding needs, each green or with its repair."""
    try:
        tenant()
    except TenantError as error:  # without settings there is nothing else to look at, nor anyone to ask for a sign-in
        checks = [{"name": "settings", "ok": False, "detail": str(error)}]
        return reply({"ok": False, "checks": checks}, 503)

    async def story(_: "Caller") -> func.HttpResponse:

        found = await handlers.health.checks(tenant(), now())
        checks = [{"name": check.name, "ok": check.ok, "detail": check.detail} for check in found]
        return reply({"ok": all(c.ok for c in found), "checks": checks}, 200 if all(c.ok for c in found) else 503)

    return await answer(req, "Gatehouse.Read", story)


@app.route("handoffs/{token}", methods=["GET", "HEAD", "POST"], auth_level=func.AuthLevel.ANONYMOUS)
async def page(req: func.HttpRequest) -> func.HttpResponse:
    """The vendor's page: whoever has the link may look, only the code opens anything."""
    try:
        token = req.route_params["token"]
        if req.method == "POST":
            form = dict(parse_qsl(req.get_body()[:BODY_LIMIT].decode("utf-8", "replace"), keep_blank_values=True))
            found = await handlers.handoff.act(tenant(), token, form, now())
        else:
            found = await handlers.handoff.show(tenant(), token, now())
    except GatehouseError as error:
        log.warning("The hand-off page could not be served: %s", error)
        return func.HttpResponse("Please try again in a minute.", status_code=503, mimetype="text/plain")
    body = "" if req.method == "HEAD" else found.html
    return func.HttpResponse(body, status_code=found.status, headers=dict(found.headers), mimetype="text/html")


# Queues


@app.queue_trigger("message", "onboardings", STORAGE)
async def run_onboarding(message: func.QueueMessage) -> None:
    """Carry an onboarding on."""
    try:
        operation_id = handlers.operations.read_message(message.get_body())
    except ValueError as error:
        await unreadable("onboardings", message, str(error))
        return
    await handlers.onboarding.run(tenant(), operation_id, now())


@app.queue_trigger("message", "rotations", STORAGE)
async def run_rotation(message: func.QueueMessage) -> None:
    """Carry a rotation on."""
    try:
        operation_id = handlers.operations.read_message(message.get_body())
    except ValueError as error:
        await unreadable("rotations", message, str(error))
        return
    await handlers.onboarding.run(tenant(), operation_id, now())


@app.queue_trigger("message", "assignments", STORAGE)
async def run_assignment(message: func.QueueMessage) -> None:
    """Carry out one batch, or cut an operation into its batches."""
    try:
        operation_id, batch = handlers.operations.read_batch_message(message.get_body())
    except ValueError as error:
        await unreadable("assignments", message, str(error))
        return
    if batch is None:
        await handlers.assignment.start(tenant(), operation_id, now())
        await handlers.reconcile.run(tenant(), operation_id, now())  # each leaves the other's kind alone
    else:
        await handlers.assignment.run(tenant(), operation_id, batch, now())


@app.queue_trigger("message", "hr-events", STORAGE)
async def run_hr_event(message: func.QueueMessage) -> None:
    """Follow what an HR system said of a person."""
    try:
        operation_id = handlers.operations.read_message(message.get_body())
    except ValueError as error:
        await unreadable("hr-events", message, str(error))
        return
    await handlers.hr_event.run(tenant(), operation_id, now())


@app.queue_trigger("message", "onboardings-poison", STORAGE)
async def poisoned_onboarding(message: func.QueueMessage) -> None:
    """Keep an onboarding's message that failed five times, and fail its operation."""
    await poisoned("onboardings", message)


@app.queue_trigger("message", "assignments-poison", STORAGE)
async def poisoned_assignment(message: func.QueueMessage) -> None:
    """Keep an assignment's message that failed five times, and fail its operation."""
    await poisoned("assignments", message)


@app.queue_trigger("message", "rotations-poison", STORAGE)
async def poisoned_rotation(message: func.QueueMessage) -> None:
    """Keep a rotation's message that failed five times, and fail its operation."""
    await poisoned("rotations", message)


@app.queue_trigger("message", "hr-events-poison", STORAGE)
async def poisoned_hr_event(message: func.QueueMessage) -> None:
    """Keep an HR event's message that failed five times, and fail its operation."""
    await poisoned("hr-events", message)


async def poisoned(queue: str, message: func.QueueMessage) -> None:
    """Move a poison message into the ledger."""
    await unreadable(queue, message, "every attempt to carry it out ended in an error; see the app's log")


async def unreadable(queue: str, message: func.QueueMessage, reason: str) -> None:
    """Keep a message that cannot be carried out, and fail the operation that it names."""
    count = message.dequeue_count or 1
    await handlers.operations.give_up(tenant(), queue, message.get_body(), reason, count, now())


# Timers


@app.timer_trigger("timer", "%GATEHOUSE_SWEEP_SCHEDULE%", use_monitor=True)
async def sweep(timer: func.TimerRequest) -> None:
    """Take up whatever was accepted and left lying, and what was pressed on a page and nobody has heard of."""
    sent = await handlers.operations.sweep(tenant(), now())
    told = await handlers.handoff.finish_presses(tenant(), now())
    if sent or told or timer.past_due:
        log.info("swept %d operations and %d pages", sent, told)
    await handlers.summary.resume(tenant(), now())


@app.timer_trigger("timer", "%GATEHOUSE_ROTATION_SCHEDULE%", use_monitor=True)
async def find_due(timer: func.TimerRequest) -> None:
    """Open a rotation of every client secret that is due."""
    opened = await handlers.rotation.tick(tenant(), now())
    if opened or timer.past_due:
        log.info("opened %d rotations", opened)


@app.timer_trigger("timer", "%GATEHOUSE_SUMMARY_SCHEDULE%", use_monitor=True)
async def summary(timer: func.TimerRequest) -> None:
    """Mail the operators what they must know, once a night; then forget what is no longer to be kept."""
    if await handlers.summary.send(tenant(), now()) or timer.past_due:
        log.info("mailed the summary")
    if forgotten := await handlers.retention.run(tenant(), now()):
        log.info("forgot %d rows of the ledger", forgotten)


@app.timer_trigger("timer", "%GATEHOUSE_RECONCILE_SCHEDULE%", use_monitor=True)
async def reconcile(timer: func.TimerRequest) -> None:
    """Compare what people hold with rules and directory."""
    if await handlers.reconcile.begin(tenant(), now()) or timer.past_due:
        log.info("began to compare access with the rules")


# Events


@app.event_grid_trigger("event")
async def secret_near_expiry(event: func.EventGridEvent) -> None:
    """Look whether a secret is due that the vault calls near its end; an error lets Event Grid deliver again."""
    kind = event.type if isinstance(event, func.CloudEvent) else event.event_type
    if await handlers.rotation.near_expiry(tenant(), kind, event.get_json(), now()):
        log.info("opened a rotation on an event of the vault")


# From the wire and back


async def answer(
    req: func.HttpRequest, role: "Role | None", story: Callable[["Caller"], Awaitable[func.HttpResponse]]
) -> func.HttpResponse:
    """Run a story for whoever calls; every error becomes a problem document with its reasons.

    Without a role the story itself sees to who calls.
    """
    correlation = str(uuid.uuid4())
    try:
        name = None
        if role is not None and tenant().settings.require_signed_in:
            name = signed_in_caller(req.headers.get("x-ms-client-principal"), role)
        return await story(Caller(name, req.headers.get("idempotency-key")))
    except Refused as error:
        return problem(error.status, error.reasons, correlation)
    except NotReady as error:
        return problem(503, error.reasons, correlation, {"Retry-After": str(max(1, round(error.retry_after)))})
    except TenantError as error:
        log.warning("refused by tenant or deployment (%s): %s", correlation, error)
        return problem(502, error.reasons, correlation)


def delivery_of(req: func.HttpRequest) -> "Delivery":
    """A webhook as it came; raises `Refused` (413) where it is too long."""
    from sso.webhooks import Delivery  # noqa: PLC0415  # with the first event, as the stories are

    return Delivery({name.lower(): value for name, value in req.headers.items()}, raw_body(req, BODY_LIMIT))


def raw_body(req: func.HttpRequest, limit: int) -> bytes:
    """The bytes of a body; raises `Refused` (413) where they are too many."""
    raw = req.get_body()
    if len(raw) > limit:
        detail = f"The body has {len(raw)} bytes; at most {limit} are taken. Split the request."
        raise Refused(Reason("", detail), status=413)
    return bytes(raw)


def body_of(req: func.HttpRequest, limit: int) -> object:
    """The JSON of a body; raises `Refused` where it is too long or not JSON."""
    raw = raw_body(req, limit)
    try:
        body = json.loads(raw)
        # A lone surrogate (RFC 8259 section 8.2) parses and can be neither stored, hashed nor answered.
        json.dumps(body, ensure_ascii=False).encode()
        return body
    except (ValueError, RecursionError):
        raise Refused(Reason("", "The body is not JSON. Send one JSON object, encoded in UTF-8.")) from None


def key_of(req: func.HttpRequest) -> "Key":
    """The application that a route names; raises `Refused` (404) where it cannot be one."""
    from sso.model import key_of as read_key  # noqa: PLC0415  # with the first event, as the stories are

    return read_key(req.route_params["vendor"], req.route_params["instance"])


def mode(req: func.HttpRequest) -> str | None:
    """The `mode` of a request: `plan` or none; raises `Refused` for any other."""
    found: str | None = req.params.get("mode")
    if found not in {None, "plan"}:
        raise Refused(Reason("mode", "'mode' can only be 'plan'. Leave it out to carry the request out."))
    return found


def shown(operation: "Operation") -> Mapping[str, Any]:
    """An operation as the API shows it."""
    waiting = operation.waiting_for
    return {
        "operation": operation.id,
        "kind": operation.kind,
        "vendor": operation.key.vendor if operation.key else None,
        "instance": operation.key.instance if operation.key else None,
        "state": operation.state,
        "ticket": operation.ticket,
        "requested_by": operation.requested_by,
        "caller": operation.caller,
        "steps": [
            {
                "step": step.step,
                "sentence": step.sentence,
                "affects": step.affects,
                "state": step.state,
                "at": step.at.isoformat() if step.at else None,
            }
            for step in operation.steps
        ],
        "waiting_for": (
            {"what": waiting.what, "whom": waiting.whom, "since": waiting.since.isoformat()} if waiting else None
        ),
        "reasons": [{"field": reason.field, "detail": reason.detail} for reason in operation.reasons],
    }


def steps_of(found: "Plan") -> Mapping[str, Any]:
    """A plan as the API shows it."""
    return {
        "steps": [{"step": s.name, "sentence": s.sentence, "affects": s.affects} for s in found.steps],
        "notes": list(found.notes),
    }


def accepted(operation: "Operation") -> func.HttpResponse:
    """202 with where to look."""
    headers = {"Location": f"/api/operations/{operation.id}", "Retry-After": RETRY_AFTER}
    return reply(shown(operation), 202, headers=headers)


def taken(operations: list["Operation"]) -> func.HttpResponse:
    """202 with the operations that a webhook has opened."""
    return reply({"items": [shown(operation) for operation in operations], "next": None}, 202)


def listed(req: func.HttpRequest, items: list[Any], after: str | None) -> func.HttpResponse:
    """A page of a list, with the address of the next one."""
    following = None
    if after is not None:
        query = urlencode({**req.params, "after": after})
        following = f"{urlsplit(req.url).path}?{query}"
    return reply({"items": items, "next": following})


def reply(
    body: object, status: int = 200, mimetype: str = "application/json", headers: dict[str, str] | None = None
) -> func.HttpResponse:
    """A JSON answer."""
    text = json.dumps(body, ensure_ascii=False)
    return func.HttpResponse(
        text, status_code=status, mimetype=mimetype, headers={"Cache-Control": "no-store", **(headers or {})}
    )


def problem(
    status: int, reasons: tuple[Any, ...], correlation: str, headers: dict[str, str] | None = None
) -> func.HttpResponse:
    """A problem document (RFC 9457) with every reason and the correlation ID of the log."""
    body = {
        "type": "about:blank",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "reasons": [{"field": reason.field, "detail": reason.detail} for reason in reasons],
        "correlation_id": correlation,
    }
    return reply(body, status, PROBLEM, headers)
