"""An app that shows every rule of the host: it reports what it was given to a socket of the test's."""

import asyncio
import json
import os
import sys
import threading
import typing
from pathlib import Path

import azure.functions as func

app = func.FunctionApp()
STORAGE = "AzureWebJobsStorage"


async def report(case: str, **facts: object) -> None:
    """Tell the test what was seen."""
    if "REPORT_PORT" not in os.environ:
        return
    _, writer = await asyncio.open_connection("127.0.0.1", int(os.environ["REPORT_PORT"]))
    writer.write(json.dumps({"case": case, **facts}).encode() + b"\n")
    await writer.drain()
    writer.close()
    await writer.wait_closed()


# --- HTTP


@app.route("echo/{name}/{rest?}", auth_level=func.AuthLevel.ANONYMOUS)
async def echo(req: func.HttpRequest, context: func.Context) -> func.HttpResponse:
    """Show the request as the function sees it."""
    seen = {
        "method": req.method,
        "url": req.url,
        "headers": dict(req.headers),
        "params": dict(req.params),
        "route": dict(req.route_params),
        "body": req.get_body().decode(),
        "function": context.function_name,
        "invocation": context.invocation_id,
        "folder_last": sys.path[-1] == str(Path.cwd()) == context.function_directory,
    }
    return func.HttpResponse(json.dumps(seen), mimetype="application/json")


@app.route("rooms/{id}", auth_level=func.AuthLevel.ANONYMOUS)
def a_room(req: func.HttpRequest) -> func.HttpResponse:
    """Hide new_room, whose name comes later in the alphabet."""
    return func.HttpResponse(f"room {req.route_params['id']}")


@app.route("rooms/new", auth_level=func.AuthLevel.ANONYMOUS)
def new_room(req: func.HttpRequest) -> func.HttpResponse:
    """Never be reached."""
    return func.HttpResponse("new room")


@app.route("seats/{id:int}", auth_level=func.AuthLevel.ANONYMOUS)
def a_seat(req: func.HttpRequest) -> func.HttpResponse:
    """Answer for numbers only."""
    return func.HttpResponse(f"seat {req.route_params['id']}")


@app.route("seats/new", auth_level=func.AuthLevel.ANONYMOUS)
def new_seat(req: func.HttpRequest) -> func.HttpResponse:
    """Be reached, because the other route takes numbers only."""
    return func.HttpResponse("new seat")


@app.route("posted", methods=["POST"], auth_level=func.AuthLevel.ANONYMOUS)
def posted(req: func.HttpRequest) -> func.HttpResponse:
    """Answer POST alone, with a status, headers and cookies of its own."""
    answer = func.HttpResponse(b"\x00made", status_code=201, headers={"Location": "/api/rooms/7"})
    answer.headers.add("Set-Cookie", "a=1; Path=/")
    answer.headers.add("Set-Cookie", "b=2; Secure")
    return answer


@app.route(auth_level=func.AuthLevel.ANONYMOUS)
def thread(req: func.HttpRequest) -> func.HttpResponse:
    """Tell whether a sync function runs beside the loop."""
    return func.HttpResponse(str(threading.current_thread() is not threading.main_thread()))


@app.route("failing", auth_level=func.AuthLevel.ANONYMOUS)
def failing(req: func.HttpRequest) -> func.HttpResponse:
    """Fail."""
    raise RuntimeError("the reason stays in the log")


@app.route("forgotten", auth_level=func.AuthLevel.ANONYMOUS)
def forgotten(req: func.HttpRequest) -> func.HttpResponse:
    """Forget the answer."""
    return None  # type: ignore[return-value]


@app.route("endless", auth_level=func.AuthLevel.ANONYMOUS)
async def endless(req: func.HttpRequest) -> func.HttpResponse:
    """Outlast functionTimeout."""
    await asyncio.Event().wait()
    return func.HttpResponse("never")


@app.route("text", methods=["POST"], auth_level=func.AuthLevel.ANONYMOUS)
def text(req: func.HttpRequest) -> str:
    """Return the body as a plain str, which the host reads as JSON."""
    return req.get_body().decode()


@app.route("keys/function")
def level_function(req: func.HttpRequest) -> func.HttpResponse:
    """Have the default level."""
    return func.HttpResponse("function")


@app.route("keys/admin", auth_level=func.AuthLevel.ADMIN)
def level_admin(req: func.HttpRequest) -> func.HttpResponse:
    """Have the level that only the master key reaches."""
    return func.HttpResponse("admin")


# --- queues


@app.route("send/{how}", methods=["POST"], auth_level=func.AuthLevel.ANONYMOUS)
@app.queue_output("out", "%RECEIVED_QUEUE%", STORAGE)
def send(req: func.HttpRequest, out: func.Out[str]) -> func.HttpResponse:
    """Send the body as text, bytes, a list or a QueueMessage."""
    body = req.get_body().decode()
    values: dict[str, typing.Any] = {
        "text": body,
        "bytes": body.encode(),
        "list": [body, "second"],
        "message": func.QueueMessage(body=body),
        "nothing": None,
        "number": 7,
    }
    out.set(values[req.route_params["how"]])
    if req.params.get("then") == "fail":
        raise RuntimeError("after the output was set")
    return func.HttpResponse(status_code=202)


@app.queue_trigger("msg", "%RECEIVED_QUEUE%", STORAGE)
async def on_received(msg: func.QueueMessage) -> None:
    """Report what arrived."""
    await report("received", text=msg.get_body().decode())


@app.queue_trigger("msg", "%ORDERS_QUEUE%", STORAGE)
@app.queue_output("$return", "%RECEIVED_QUEUE%", STORAGE)
async def on_order(msg: func.QueueMessage) -> list[str]:
    """Report a message with its metadata; fail or linger where it says so."""
    body = msg.get_body().decode()
    await report(
        "order",
        body=body,
        id=msg.id,
        dequeue_count=msg.dequeue_count,
        dated=msg.insertion_time is not None and msg.expiration_time is not None,
    )
    order = json.loads(body)
    if "fail" in order:
        raise RuntimeError("as ordered")
    if "linger" in order:
        await asyncio.sleep(order["linger"])
        await report("lingered", body=body)
    return [f"done {order['number']}"]


@app.queue_trigger("msg", "%ORDERS_QUEUE%-poison", STORAGE)
async def on_order_poison(msg: func.QueueMessage) -> None:
    """Report what was given up."""
    await report("poison", body=msg.get_body().decode())


# --- timers


@app.timer_trigger("timer", "%TICK_SCHEDULE%")
async def tick(timer: func.TimerRequest) -> None:
    """Report a tick."""
    await report("tick", past_due=timer.past_due, status=timer.schedule_status)


@app.timer_trigger("timer", "0 0 3 1 1 *", run_on_startup=True)
async def yearly(timer: func.TimerRequest) -> None:
    """Report a run at start or by hand."""
    await report("yearly", past_due=timer.past_due, status=timer.schedule_status)


# --- Event Grid


@app.event_grid_trigger("event")
async def on_event(event: func.EventGridEvent) -> None:
    """Report an event of either schema; fail where it says so."""
    cloud = isinstance(event, func.CloudEvent)
    kind, moment = (event.type, event.time) if cloud else (event.event_type, event.event_time)
    data = event.get_json()
    await report("event", id=event.id, kind=kind, cloud=cloud, data=data, dated=moment is not None)
    if "fail" in data:
        raise RuntimeError("as delivered")


# --- refused one by one


@app.route("administrators")
def refused_route(req: func.HttpRequest) -> func.HttpResponse:
    """Have a route that the host keeps for itself."""
    return func.HttpResponse("never")


@app.function_name("7up")
@app.route("seven")
def refused_name(req: func.HttpRequest) -> func.HttpResponse:
    """Have a name that begins with a digit."""
    return func.HttpResponse("never")


@app.route("posted", methods=["POST", "PUT"])
def refused_twin(req: func.HttpRequest) -> func.HttpResponse:
    """Have the route and a method of another function."""
    return func.HttpResponse("never")


@app.timer_trigger("timer", "%NOWHERE%")
def refused_setting(timer: func.TimerRequest) -> None:
    """Need a setting that is not there."""


@app.timer_trigger("timer", "00:05:00")
def refused_span(timer: func.TimerRequest) -> None:
    """Have a time span, which serverless plans do not take."""


@app.queue_trigger("bad__name", "orders", STORAGE)
def refused_binding(bad__name: func.QueueMessage) -> None:
    """Have a binding name with a double underscore."""


@app.queue_trigger("msg", "orders", "OTHER_STORAGE")
def refused_connection(msg: func.QueueMessage) -> None:
    """Name a connection that no setting has."""


@app.route("parameters")
def refused_parameters(req: func.HttpRequest, extra: str) -> func.HttpResponse:
    """Have a parameter without a binding."""
    return func.HttpResponse(extra)
