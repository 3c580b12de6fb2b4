"""The `context` that a function may ask for."""

import threading
from dataclasses import dataclass
from typing import Any, ClassVar

import azure.functions
from azure.functions._abc import TraceContext


class _TraceContext(TraceContext):
    """No caller of the local host sends a trace."""

    trace_parent = ""
    trace_state = ""
    attributes: ClassVar[dict[str, str]] = {}


_NO_TRACE = _TraceContext()
_THREAD_LOCAL = threading.local()


@dataclass(frozen=True)
class InvocationContext(azure.functions.Context):
    """Which function runs, under which identifier, from which folder."""

    # Defaults for all: only what is there when the class is made counts as no longer abstract.
    invocation_id: str = ""
    function_name: str = ""
    function_directory: str = ""
    trace_context: Any = _NO_TRACE
    retry_context: Any = None
    thread_local_storage: Any = _THREAD_LOCAL
