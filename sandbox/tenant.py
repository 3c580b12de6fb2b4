"""The tenant as its services see it: one clock, one directory, one vault, one mailbox, one record of calls."""

import copy
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

from sandbox.calls import CallLog
from sandbox.certificates import make_signing_pair
from sandbox.clock import Clock
from sandbox.credential_uses import CredentialUses
from sandbox.directory import Directory
from sandbox.mailbox import Mailbox
from sandbox.seed import PEOPLE, seed_directory
from sandbox.unkind.gate import Gate
from sandbox.unkind.state import Unkindness
from sandbox.unkind.switches import CALM, Switches
from sandbox.vault_events import VaultEvents
from sandbox.vault_secrets import VaultSecrets

_Objects = tuple[Directory, Mailbox, VaultSecrets, VaultEvents]


@dataclass(frozen=True)
class Urls:
    """Where each service answers, without a path; the host is known once it has started."""

    graph: str
    authority: str
    vault: str
    control: str
    identity: str
    host: str | None = None

    @property
    def vault_resource(self) -> str:
        """Return the resource of the vault's challenge: azure-keyvault-secrets wants the host to end in `.` + it."""
        return self.vault.replace("//127.0.0.1", "//0.0.1")


class Tokens(Protocol):
    """What Graph and the vault need from the token service."""

    def verify(self, token: str, audience: str) -> Mapping[str, Any]:
        """Return the claims of a good access token for that audience; raises ValueError with the reason."""
        ...


class VendorSides(Protocol):
    """What the control plane needs from the vendors' own sides."""

    def choose(self, vendor: str, slots: int | None, poll_hours: float | None) -> bool:
        """Let it keep so many secrets or certificates, and read metadata so often; False where there is no such one."""
        ...

    async def collect(self, vendor: str, instance: str) -> dict[str, Any]:
        """Let that side read its mail, collect, set itself up and acknowledge."""
        ...

    async def sign_in(self, vendor: str, instance: str, user: str) -> dict[str, Any]:
        """Sign a person in at that vendor."""
        ...

    def reset(self) -> None:
        """Forget everything that was handed off."""
        ...

    def kept(self) -> Any:
        """Return a copy of what the vendors know, for `bring_back`."""
        ...

    def bring_back(self, kept: Any) -> None:
        """Let the vendors know what they knew then."""
        ...


@dataclass(frozen=True)
class Kept:
    """A tenant as it was at one moment, with everything replicated."""

    now: datetime
    objects: _Objects
    switches: Switches
    vendors: Any


class SandboxTenant:
    """Everything the services share; `reset` brings it back to the seed."""

    tokens: Tokens
    """Set by the token service when the services start."""

    def __init__(
        self, seed: int, urls: Urls, rate: float = 1.0, switches: Switches = CALM, people: int = PEOPLE
    ) -> None:
        self.seed = seed
        self._people = people
        self._first_switches = switches
        self.urls = urls
        self.clock = Clock(rate)
        self.calls = CallLog(self.clock)
        self.vendors: VendorSides | None = None
        self.on_reset: list[Callable[[], Awaitable[None]]] = []
        """What must be emptied too: storage queues and tables."""
        self._kept: dict[str, Kept] = {}
        # Dated generously: the tenant's own key outlives every journey of the sandbox's clock.
        now = datetime.now(UTC)
        self._signing_pair = make_signing_pair("accounts.accesscontrol.windows.net", now, now + timedelta(days=36500))
        self._seed()

    def _seed(self) -> None:
        self.directory = seed_directory(Directory(self.seed, self._signing_pair), self._people)
        self.mailbox = Mailbox(self.clock.now)
        self.vault = VaultSecrets(self.clock)
        self.vault_events = VaultEvents(self.vault, self.clock)
        self.switches = self._first_switches
        self.unkind = Unkindness(self.seed, self.clock, lambda: self.switches)
        self.credential_uses = CredentialUses(self.clock, self.unkind.draws)

    @property
    def gate(self) -> Gate:
        """Return the gate that every call passes."""
        return self.unkind.gate

    def keep(self, name: str) -> None:
        """Keep how everything is now, under a name to which `reset` can return."""
        objects = (self.directory, self.mailbox, self.vault, self.vault_events)
        vendors = self.vendors.kept() if self.vendors else None
        self._kept[name] = Kept(self.clock.now(), self._copied(objects), self.switches, vendors)

    def knows(self, name: str) -> bool:
        """Tell whether something was kept under a name."""
        return name in self._kept

    async def reset(self, to: str | None = None) -> None:
        """Bring tenant, vault, mailbox, vendors, calls and clock back to the seed, then whatever else asked for it.

        With a name, all but the calls and that else is as it was kept; draws and limits begin anew.
        """
        self.unkind.gate.close()
        self.clock.reset()
        self._seed()
        if self.vendors is not None:
            self.vendors.reset()
        if to is not None:
            self._bring_back(self._kept[to])
        for empty in self.on_reset:
            await empty()
        self.calls.reset()

    def _bring_back(self, kept: Kept) -> None:
        self.clock.set(kept.now)
        self.directory, self.mailbox, self.vault, self.vault_events = self._copied(kept.objects)
        self.switches = kept.switches
        if self.vendors is not None:
            self.vendors.bring_back(kept.vendors)

    def _copied(self, objects: _Objects) -> _Objects:
        """Return copies that tell the time by the one clock."""
        return copy.deepcopy(objects, {id(self.clock): self.clock})
