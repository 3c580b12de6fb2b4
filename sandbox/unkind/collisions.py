"""409 Directory_ConcurrencyViolation: writes too close to one another on an application and its service principal."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta

from sandbox.unkind.draws import Draws

WINDOW = timedelta(seconds=1)
CREDENTIAL_WINDOW = timedelta(seconds=10)

_ADD_PASSWORD = "applications.application.addPassword"  # noqa: S105 (an operation's name)
_REMOVE_PASSWORD = "applications.application.removePassword"  # noqa: S105
_ADD_CERTIFICATE = "servicePrincipals.servicePrincipal.addTokenSigningCertificate"
# graph-contract section 4: what follows too soon on what.
_AFTER_CREDENTIAL = {_REMOVE_PASSWORD: _ADD_PASSWORD, _ADD_PASSWORD: _ADD_CERTIFICATE}


class Collisions:
    """Remembers the last writes of each pair, and which are under way."""

    def __init__(self, draws: Draws, now: Callable[[], datetime]) -> None:
        self._draws = draws
        self._now = now
        self._under_way: set[str] = set()
        self._last: dict[str, datetime] = {}
        self._last_of: dict[tuple[str, str], datetime] = {}

    def collides(self, pair: str, operation: str, share: float) -> bool:
        """Tell whether a write that begins now is answered 409; without a share nothing ever is."""
        # Serial writes a moment apart mostly pass, writes at the same time do not: the window alone would refuse the
        # chained batch that the contract's section 21 builds on.
        drawn = self._draws.hits(share, "collision", pair, operation)
        if not share:
            return False
        if pair in self._under_way:
            return True
        earlier = _AFTER_CREDENTIAL.get(operation, "")
        if self._is_within(CREDENTIAL_WINDOW, self._last_of.get((pair, earlier))):
            return True
        return drawn and self._is_within(WINDOW, self._last.get(pair))

    @contextmanager
    def writing(self, pair: str, operation: str) -> Iterator[None]:
        """Hold a pair while a write on it is under way, and remember the write where it succeeds."""
        self._under_way.add(pair)
        try:
            yield
            self._last[pair] = self._last_of[pair, operation] = self._now()
        finally:
            self._under_way.discard(pair)

    def _is_within(self, window: timedelta, moment: datetime | None) -> bool:
        return moment is not None and timedelta(0) <= self._now() - moment < window
