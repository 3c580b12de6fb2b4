"""The function index: what the worker reports, and what the host refuses of it."""

import importlib
import inspect
import json
import os
import re
import sys
import typing
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import azure.functions
from azure.functions.decorators.function_app import Function
from azure.functions.meta import get_binding_registry

from sandbox.host.host_json import HostJson
from sandbox.host.routes import Route, RouteError, parse_route
from sandbox.host.schedule import Schedule, ScheduleError

_FUNCTION_NAME = re.compile(r"[a-z][a-z0-9_-]{0,127}", re.IGNORECASE)
# Host 4.1038 allows snake case, but no double underscore (azure-functions-host issue 10764).
_BINDING_NAME = re.compile(r"[A-Za-z][A-Za-z0-9]*(?:_[A-Za-z0-9]+)*")
_QUEUE_NAME = re.compile(r"[a-z0-9](?:-?[a-z0-9])*")
_SETTING = re.compile(r"%([^%]+)%")
_BUILT_IN = {"httpTrigger", "http", "timerTrigger"}
_SERVED = {*_BUILT_IN, "queueTrigger", "queue", "eventGridTrigger"}
_FILLED = ("queueName", "schedule")


class FunctionError(Exception):
    """Why one function is not served; the others are."""


class AppError(Exception):
    """Why the whole app is not served."""


@dataclass(frozen=True)
class ServedFunction:
    """One function that passed the host's checks, with its bindings filled from the environment."""

    name: str
    call: Callable[..., Any]
    bindings: tuple[dict[str, Any], ...]
    trigger: dict[str, Any]
    takes_context: bool
    output_types: Mapping[str, object]
    route: Route | None = None
    schedule: Schedule | None = None

    @property
    def is_async(self) -> bool:
        """True for a coroutine function, which runs on the loop."""
        return inspect.iscoroutinefunction(self.call)

    @property
    def outputs(self) -> tuple[dict[str, Any], ...]:
        """Bindings that send something when the function has returned, the HTTP answer not among them."""
        return tuple(found for found in self.bindings if found["direction"] == "OUT" and found["type"] != "http")

    @property
    def methods(self) -> frozenset[str] | None:
        """Methods of an HTTP function; None means all."""
        methods = self.trigger.get("methods")
        return frozenset(method.upper() for method in methods) if methods else None

    @property
    def level(self) -> str:
        """The level of key that a call needs: anonymous, function or admin."""
        return str(self.trigger.get("authLevel") or "function").lower()


@dataclass(frozen=True)
class FunctionIndex:
    """The functions served, in the alphabetical order in which routes are tried, and the sentences about the others."""

    functions: tuple[ServedFunction, ...]
    errors: Mapping[str, str]


def load_app(folder: Path) -> list[Function]:
    """Import function_app.py as the real worker does and return what it declares."""
    # The worker's own folders come first, the app's folder last: an app's module loses to an installed one of its name.
    own = Path(__file__).resolve().parents[2]
    sys.path[:] = [entry for entry in sys.path if entry and Path(entry).resolve() not in {own, folder}]
    sys.path.append(str(folder))
    os.chdir(folder)
    if not (folder / "function_app.py").is_file():
        raise AppError(f"{folder} has no function_app.py: give the folder of a Python v2 Functions app with --app.")
    module = importlib.import_module("function_app")
    apps = [value for value in vars(module).values() if isinstance(value, azure.functions.FunctionRegister)]
    if len({id(app) for app in apps}) != 1:
        raise AppError(f"function_app.py must hold exactly one FunctionApp, found {len(apps)}.")
    functions: list[Function] = apps[0].get_functions()
    return functions


def index_functions(
    functions: Sequence[Function], host_json: HostJson, environment: Mapping[str, str]
) -> FunctionIndex:
    """Check every function by itself; one that does not pass is left out, with a sentence that says why."""
    served: list[ServedFunction] = []
    errors: dict[str, str] = {}
    for function in sorted(functions, key=lambda each: str(each.get_function_name()).lower()):
        name = str(function.get_function_name())
        try:
            candidate = _checked(name, function, host_json, environment)
            _refuse_shared_route(candidate, served)
        except (FunctionError, RouteError, ScheduleError) as error:
            errors[name] = f"The function {name!r} is in error and not served: {error}."
        else:
            served.append(candidate)
    return FunctionIndex(tuple(served), errors)


def _checked(name: str, function: Function, host_json: HostJson, environment: Mapping[str, str]) -> ServedFunction:
    if not _FUNCTION_NAME.fullmatch(name) or name.lower() == "host":
        raise FunctionError("its name must be a letter followed by at most 127 letters, digits, _ or -, and not 'host'")
    bindings = tuple(_filled(json.loads(text), environment) for text in function.get_raw_bindings())
    for binding in bindings:
        _check_binding(binding, host_json, environment)
    triggers = [binding for binding in bindings if str(binding["type"]).endswith("Trigger")]
    if len(triggers) != 1:
        raise FunctionError(f"expected one trigger, found {len(triggers)}")
    trigger = triggers[0]
    call = function.get_user_function()
    takes_context, output_types = _check_parameters(call, bindings)
    route = (
        parse_route(trigger.get("route") or "", host_json.route_prefix) if trigger["type"] == "httpTrigger" else None
    )
    schedule = Schedule(str(trigger["schedule"])) if trigger["type"] == "timerTrigger" else None
    return ServedFunction(name, call, bindings, trigger, takes_context, output_types, route, schedule)


def _filled(binding: dict[str, Any], environment: Mapping[str, str]) -> dict[str, Any]:
    def value_of(match: re.Match[str]) -> str:
        if match[1] not in environment:
            raise FunctionError(f"the setting {match[1]!r}, named as %{match[1]}%, is missing from the environment")
        return environment[match[1]]

    return binding | {key: _SETTING.sub(value_of, binding[key]) for key in _FILLED if isinstance(binding.get(key), str)}


def _check_binding(binding: dict[str, Any], host_json: HostJson, environment: Mapping[str, str]) -> None:
    name, kind = str(binding["name"]), str(binding["type"])
    if name != "$return" and not _BINDING_NAME.fullmatch(name):
        raise FunctionError(f"the binding name {name!r} may hold letters, digits and single underscores only")
    if kind not in _SERVED:
        raise FunctionError(f"the binding type {kind!r} is not known here (known: {', '.join(sorted(_SERVED))})")
    if kind not in _BUILT_IN and not host_json.has_bundle:
        raise FunctionError(f"the binding type {kind!r} needs extensionBundle in host.json")
    if kind in {"queueTrigger", "queue"}:
        queue = str(binding["queueName"])
        if not _QUEUE_NAME.fullmatch(queue) or not 3 <= len(queue) <= 63:
            raise FunctionError(f"{queue!r} is no queue name: 3 to 63 lower-case letters, digits and single hyphens")
        connection_string(str(binding["connection"]), environment)


def converter(kind: str) -> Any:
    """The converter that azure.functions itself has for a binding type, or None."""
    return get_binding_registry().get(kind)  # type: ignore[no-untyped-call]


def connection_string(setting: str, environment: Mapping[str, str]) -> str:
    """The connection string that a binding's `connection` names; raises FunctionError where no setting has it."""
    for name in (setting, f"AzureWebJobs{setting}"):
        if environment.get(name):
            return environment[name]
    raise FunctionError(f"the connection {setting!r} is found neither as {setting} nor as AzureWebJobs{setting}")


def _check_parameters(call: Callable[..., Any], bindings: Sequence[dict[str, Any]]) -> tuple[bool, dict[str, object]]:
    """Compare signature and bindings as the worker does before it accepts a function."""
    parameters = dict(inspect.signature(call).parameters)
    annotations = typing.get_type_hints(call)
    by_name = {str(binding["name"]): binding for binding in bindings}
    takes_context = "context" in parameters and "context" not in by_name
    if takes_context:
        del parameters["context"]
    expected = set(by_name) - {"$return"}
    if set(parameters) != expected:
        raise FunctionError(f"its parameters must be {sorted(expected)} (and context), found {sorted(parameters)}")
    output_types: dict[str, object] = {"$return": annotations.get("return")}
    for name in parameters:
        binding, annotation = by_name[name], annotations.get(name)
        is_out = isinstance(origin := typing.get_origin(annotation), type) and issubclass(origin, azure.functions.Out)
        if is_out != (binding["direction"] == "OUT"):
            raise FunctionError(
                f"the parameter {name!r} must be annotated func.Out exactly when its binding is an output"
            )
        if is_out:
            output_types[name] = typing.get_args(annotation)[0]
        _check_annotation(name, output_types[name] if is_out else annotation, binding, is_out=is_out)
    return takes_context, output_types


def _check_annotation(name: str, annotation: object, binding: dict[str, Any], *, is_out: bool) -> None:
    found = converter(binding["type"])
    if annotation is None or found is None or (not is_out and not isinstance(annotation, type)):
        return
    check = found.check_output_type_annotation if is_out else found.check_input_type_annotation
    if not check(annotation):
        raise FunctionError(f"the type {annotation!r} of {name!r} does not fit a binding of type {binding['type']!r}")


def _refuse_shared_route(candidate: ServedFunction, served: Sequence[ServedFunction]) -> None:
    if candidate.route is None:
        return
    for other in served:
        if other.route is None or other.route.template.lower() != candidate.route.template.lower():
            continue
        if other.methods is None or candidate.methods is None or other.methods & candidate.methods:
            raise FunctionError(f"its route and methods overlap with those of {other.name!r}")
