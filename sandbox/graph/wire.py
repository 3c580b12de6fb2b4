"""One call to Graph and its answer, alike for a request of its own and for an item of a `$batch`."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from sandbox.clock import graph_time
from sandbox.directory import Directory
from sandbox.graph.errors import bad_request
from sandbox.graph.store import Store
from sandbox.tenant import SandboxTenant
from sandbox.unkind.gate import Passage
from sandbox.unkind.replicas import REPLICAS


@dataclass(frozen=True)
class GraphRequest:
    """A call that has been authenticated and matched to an operation."""

    tenant: SandboxTenant
    version: str
    method: str
    path: str
    """Below the version, decoded."""
    raw_query: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    """By lower-case name."""
    raw_body: bytes
    body: Any
    """The JSON that was sent, or None."""
    parameters: Mapping[str, str]
    claims: Mapping[str, Any] = field(default_factory=dict)
    passage: Passage | None = None
    """Its way through the gate; the sandbox's own look-ups have none."""

    @property
    def key(self) -> str:
        """Return what the call is about, for draws."""
        return self.passage.key if self.passage else self.path

    @property
    def directory(self) -> Directory:
        """Return the tenant's directory."""
        return self.tenant.directory

    @cached_property
    def store(self) -> Store:
        """Return the one way to the directory's objects."""
        unkind = self.tenant.unkind
        replica = unkind.draws.pick(REPLICAS, "replica", self.method, self.key)
        return Store(self.tenant.directory, unkind, replica, writes=self.method != "GET")

    @property
    def root(self) -> str:
        """Return the URL of this version of Graph."""
        return f"{self.tenant.urls.graph}/{self.version}"

    @property
    def now(self) -> str:
        """Return the sandbox's time as Graph writes it."""
        return graph_time(self.tenant.clock.now())

    @property
    def caller(self) -> str:
        """Return the client ID of the calling application."""
        return str(self.claims.get("appid", ""))

    def caller_object_ids(self) -> list[str]:
        """Return the calling service principal, as the owner of what it creates."""
        return [str(self.claims["oid"])] if "oid" in self.claims else []

    @property
    def creates_if_missing(self) -> bool:
        """Tell whether a PATCH by key is an upsert."""
        return "create-if-missing" in self.headers.get("prefer", "")

    def json_object(self) -> dict[str, Any]:
        """Return the body as an object, or refuse."""
        if not isinstance(self.body, dict):
            raise bad_request("Unable to read JSON request payload: expected an object.", "BadRequest")
        return self.body

    def text(self, name: str) -> str:
        """Return a text that the body must have, or refuse."""
        value = self.json_object().get(name)
        if not isinstance(value, str) or not value:
            raise bad_request(f"A value is required for property '{name}' of the request.")
        return value


@dataclass(frozen=True)
class GraphAnswer:
    """What goes back: a body only where there is one to give."""

    status: int
    body: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)
    request_summary: Any = None
    """What the record of calls keeps in place of the request's body."""


NO_CONTENT = GraphAnswer(204)

Handler = Callable[[GraphRequest], Awaitable[GraphAnswer]]
