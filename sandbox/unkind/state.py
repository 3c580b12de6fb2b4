"""One tenant's unkindness: everything that is forgotten when the tenant returns to its seed."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime

from sandbox.clock import Clock
from sandbox.unkind.buckets import Bucket
from sandbox.unkind.collisions import Collisions
from sandbox.unkind.draws import Draws
from sandbox.unkind.gate import Gate
from sandbox.unkind.lag import lag_of
from sandbox.unkind.replicas import REPLICAS, Lags, Replicas
from sandbox.unkind.switches import Switches


@dataclass
class Limits:
    """The buckets of the identity's calls (graph-contract sections 5 and 17)."""

    resource_units: Bucket
    write_units: Bucket
    vault_creates: Bucket
    vault_calls: Bucket
    reports: Bucket
    mails: dict[str, list[datetime]] = field(default_factory=dict)
    """When each mailbox has its turn."""
    sending: Counter[str] = field(default_factory=Counter)
    """How many mails each mailbox is sending at this moment."""


class Unkindness:
    """Draws, replicas, limits and faults of one tenant."""

    def __init__(self, seed: int, clock: Clock, switches: Callable[[], Switches]) -> None:
        self._switches = switches
        self.synchronisations: list[tuple[datetime, str, frozenset[str]]] = []
        """What is to flow from applications to service principals: when, from which, which properties."""
        self.secrets_known: dict[str, tuple[datetime, ...]] = {}
        """When each token server takes a client secret, by its keyId."""
        self.draws = Draws(seed)
        self.replicas = Replicas(clock.now)
        self.gate = Gate(self.draws, clock, switches)
        self.collisions = Collisions(self.draws, clock.now)
        self.limits = Limits(
            Bucket(clock.now, 10),
            Bucket(clock.now, 150),
            Bucket(clock.now, 10),
            Bucket(clock.now, 10),
            Bucket(clock.now, 10),
        )

    @property
    def switches(self) -> Switches:
        """Return the present switches."""
        return self._switches()

    def lags(self, *key: str) -> Lags:
        """Return how long each replica takes to learn of the next write of an object."""
        profile = self.switches.lag
        return [lag_of(profile, self.draws.fraction("lag", *key, str(replica))) for replica in range(REPLICAS)]
