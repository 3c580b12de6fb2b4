"""What every vendor's side has: customers, each set up from what it was told, and a site that people sign in at."""

import json
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from sandbox.user_agent import SiteRequest
from sandbox.wire import Reply


class SetUpError(Exception):
    """The vendor's form does not take what was delivered; the text says what was missing or wrong."""


class AdmissionError(Exception):
    """The vendor lets this person not in; the text is what its page says."""


Connection = TypeVar("Connection")


@dataclass
class Customer(Generic[Connection]):
    """One customer's connection, and the people the vendor knows there."""

    connection: Connection
    people: dict[str, Mapping[str, Any]] = field(default_factory=dict)


class VendorSide(ABC, Generic[Connection]):
    """One vendor; its customers are our instances."""

    name: str
    host: str
    contact: str | None = None
    """Where the vendor reads hand-offs; None where our own administrator enters the values."""
    fields: tuple[str, ...]
    """The labels of the vendor's form, all of them needed."""
    most_slots = 1
    """Secrets or certificates that the form, or a reading of the metadata, keeps, unless a test chooses less."""

    def __init__(self) -> None:
        self.customers: dict[str, Customer[Connection]] = {}
        self.slots = self.most_slots
        self.poll_hours: float | None = None
        """How often a vendor that knows a metadata URL reads it again; None: when it is set up."""

    def reset(self) -> None:
        """Forget every customer and every choice."""
        self.customers.clear()
        self.slots, self.poll_hours = self.most_slots, None

    async def set_up(self, instance: str, told: Mapping[str, str]) -> None:
        """Fill in the form from values by lower-case label; raises `SetUpError`."""
        missing = [label for label in self.fields if not told.get(label.casefold())]
        if missing:
            raise SetUpError(f"The hand-off has no value for {' and '.join(missing)}.")
        connection = await self.connect(told)
        known = self.customers.get(instance)
        if known:
            connection = self.beside(known.connection, connection)
        self.customers[instance] = Customer(connection, known.people if known else {})

    def beside(self, old: Connection, new: Connection) -> Connection:
        """What the form holds once a new value is entered: where it has room, the old one beside it."""
        del old
        return new

    def expect_change(self, instance: str) -> None:
        """Somebody pressed "activate now": a vendor that reads metadata does so until it finds a change."""
        del instance

    @abstractmethod
    async def connect(self, told: Mapping[str, str]) -> Connection:
        """Turn what was told into a working connection; raises `SetUpError`."""

    @abstractmethod
    def start_url(self, instance: str) -> str | None:
        """Where a person begins at the vendor; None where only the tile in My Apps leads in."""

    @abstractmethod
    async def visit(self, request: SiteRequest) -> Reply:
        """Answer a browser; raises `AdmissionError`."""

    async def answer(self, request: SiteRequest) -> Reply:
        """Answer a browser; a refusal is a page that says why."""
        try:
            return await self.visit(request)
        except AdmissionError as problem:
            return _page(403, {"signed_in": False, "claims": {}, "reason": str(problem)})

    def admit(self, instance: str, person: str, claims: Mapping[str, Any], **own: Any) -> Reply:
        """Let a person in, made known at the first visit, and show who they are.

        Where the guide has people added by hand, this stands for the vendor's administrator having done so.
        """
        self.customers[instance].people.setdefault(person.casefold(), {"name": person, **own})
        return _page(200, {"signed_in": True, "claims": dict(claims), "reason": None})


def redirect(location: str) -> Reply:
    """Send the browser on."""
    return Reply(302, "text/plain", location, "")


def _page(status: int, body: Mapping[str, Any]) -> Reply:
    return Reply(status, "application/json", None, json.dumps(body))
