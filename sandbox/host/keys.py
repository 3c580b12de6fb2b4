"""Function keys, asked for only with --enable-auth, as Core Tools do."""

import hmac
import secrets
from collections.abc import Iterable

from aiohttp import web

from sandbox.host.index import ServedFunction


class Keys:
    """The master key, which is given; the host's, functions' and extension's keys, which are made at each start."""

    def __init__(self, master: str, functions: Iterable[str]) -> None:
        self._master = master
        self.host = secrets.token_urlsafe(32)
        self.event_grid = secrets.token_urlsafe(32)
        """The system key `eventgrid_extension`, which opens the extension's webhook and no function."""
        self.functions = {name: secrets.token_urlsafe(32) for name in functions}

    def admits(self, request: web.Request, function: ServedFunction) -> bool:
        """True when the call carries a key of the function's level, or the master key."""
        if function.level == "anonymous":
            return True
        accepted = [self._master]
        if function.level == "function":
            accepted += [self.host, self.functions[function.name]]
        return _is_one_of(request, accepted)

    def admits_event_grid(self, request: web.Request) -> bool:
        """True when the call carries the extension's system key, or the master key."""
        return _is_one_of(request, [self._master, self.event_grid])

    def admits_master(self, request: web.Request) -> bool:
        """True when the call carries the master key."""
        return _is_one_of(request, [self._master])


def _is_one_of(request: web.Request, accepted: list[str]) -> bool:
    # The header wins over the query, even when it is the wrong one.
    given = request.headers.get("x-functions-key") or request.query.get("code", "")
    return any([hmac.compare_digest(given.encode(), key.encode()) for key in accepted])  # noqa: C419 - same time for all
