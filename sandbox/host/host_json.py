"""host.json as the real host reads it, with the real host's defaults."""

import json
import math
import re
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

_SPAN = re.compile(r"(?:(?P<days>\d+)\.)?(?P<hours>\d{1,2}):(?P<minutes>\d{2}):(?P<seconds>\d{2})(?:\.\d+)?")


class HostJsonError(Exception):
    """host.json cannot be followed; the sentence says which value, and what is expected there."""


@dataclass(frozen=True)
class QueueSettings:
    """How the queue listener fetches, hides and gives up."""

    batch_size: int = 16
    new_batch_threshold: int = 8
    max_dequeue_count: int = 5
    visibility_timeout: timedelta = timedelta(0)
    max_polling_interval: timedelta = timedelta(minutes=1)
    base64: bool = True


@dataclass(frozen=True)
class HostJson:
    """The part of host.json that decides how functions are called."""

    route_prefix: str = "api"
    function_timeout: timedelta | None = timedelta(minutes=30)
    has_bundle: bool = False
    queues: QueueSettings = QueueSettings()


def read_host_json(path: Path) -> HostJson:
    """Read `path`; raises HostJsonError naming the value that does not fit."""
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise HostJsonError(f"{path} cannot be read as JSON: {error}. Every app folder needs a host.json.") from error
    if document.get("version") != "2.0":
        raise HostJsonError(f'{path}: expected "version": "2.0", found {document.get("version")!r}.')
    extensions = document.get("extensions", {})
    queues = extensions.get("queues", {})
    batch_size = _integer(queues, "batchSize", 16, 1, 32)
    encoding = queues.get("messageEncoding", "base64")
    if encoding not in {"base64", "none"}:
        raise HostJsonError(f'{path}: queues.messageEncoding must be "base64" or "none", found {encoding!r}.')
    timeout = document.get("functionTimeout", "00:30:00")
    return HostJson(
        route_prefix=extensions.get("http", {}).get("routePrefix", "api").strip("/"),
        function_timeout=None if timeout in {"-1", -1, None} else _span(timeout, "functionTimeout"),
        has_bundle="extensionBundle" in document,
        queues=QueueSettings(
            batch_size=batch_size,
            new_batch_threshold=_integer(queues, "newBatchThreshold", batch_size // 2, 0, 1000),
            max_dequeue_count=_integer(queues, "maxDequeueCount", 5, 1, 1000),
            visibility_timeout=_span(queues.get("visibilityTimeout", "00:00:00"), "queues.visibilityTimeout"),
            max_polling_interval=_span(queues.get("maxPollingInterval", "00:01:00"), "queues.maxPollingInterval"),
            base64=encoding == "base64",
        ),
    )


def scaled(span: timedelta | float, scale: float) -> float:
    """Seconds of the wall for a span of the sandbox's time."""
    seconds = span.total_seconds() if isinstance(span, timedelta) else span
    return seconds * scale


def whole_seconds(seconds: float) -> int:
    """Seconds for Storage, which counts whole ones: rounded up, so that nothing comes back early."""
    return math.ceil(seconds)


def _integer(section: dict[str, Any], name: str, default: int, least: int, most: int) -> int:
    value = section.get(name, default)
    if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
        raise HostJsonError(f"host.json: {name} must be a whole number from {least} to {most}, found {value!r}.")
    return value


def _span(text: Any, name: str) -> timedelta:
    match = _SPAN.fullmatch(text) if isinstance(text, str) else None
    if match is None:
        raise HostJsonError(f'host.json: {name} must look like "hh:mm:ss", found {text!r}.')
    return timedelta(**{part: int(value) for part, value in match.groupdict(default="0").items()})
