"""The client secret's state machine, over its whole life.

Nothing is remembered: the application's credentials, the vault's versions, the hand-off's page and the acknowledgement
decide what is next, so a run that died anywhere is simply continued. Proving belongs to promoting: what has been proved
is recorded by nothing but the promoted version, whose newest one is therefore always proved.

Two tables, each read from the top: the first row whose condition holds decides. `docs/credentials.md` shows them, and a
test compares the two.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum
from typing import Literal

from sso.model import Key, KeyId, PasswordCredential, TokenSigningCertificate, VaultVersion

# A credential may be missing from a read for this long after it was minted (graph-contract 4): what the vault has
# staged since then counts as held.
REPLICATION = timedelta(minutes=30)
# A credential of ours without a value is removed only while it is this young: older, someone may have kept the value.
DISCARD_WITHIN = timedelta(days=7)


@dataclass(frozen=True)
class Rotation:
    """Which client secret or signing certificate is to be succeeded, and why."""

    succeeds: str  # key ID or thumbprint
    reason: Literal["due", "requested", "compromised"] = "due"


@dataclass(frozen=True)
class SecretFacts:
    """What the application and the vault say about the client secrets of one key."""

    key: Key
    passwords: tuple[PasswordCredential, ...]
    versions: tuple[VaultVersion, ...]
    now: datetime
    replace: str | None = None  # the key ID of a current secret that must be succeeded

    @property
    def ours(self) -> tuple[PasswordCredential, ...]:
        """The credentials that carry our marker."""
        return tuple(p for p in self.passwords if carries_marker(p.display_name, self.key))

    @property
    def current(self) -> VaultVersion | None:
        """The newest enabled version of the name that people read, whose credential the application still has."""
        return self._newest(self.key.secret_name)

    @property
    def staged(self) -> VaultVersion | None:
        """The newest enabled staged version whose credential the application still has."""
        return self._newest(self.key.staged_secret_name)

    @property
    def without_value(self) -> tuple[PasswordCredential, ...]:
        """The credentials of ours whose value no vault version holds: their minting was cut short."""
        known = {version.key_id for version in self.versions}
        return tuple(p for p in self.ours if p.key_id not in known)

    @property
    def valueless(self) -> PasswordCredential | None:
        """The first of those that is young enough to be removed."""
        lost = [p for p in self.without_value if self.now - p.starts < DISCARD_WITHIN]
        return min(lost, key=lambda password: password.starts, default=None)

    @property
    def removed(self) -> VaultVersion | None:
        """An older version that people may still read, of a credential that is gone: its removal was cut short.

        A read that shows the current credential is new enough to show an older one, if that is still there.
        """
        held, current = {password.key_id for password in self.passwords}, self.current
        left = [
            version
            for version in self.versions
            if version.name == self.key.secret_name
            and version.enabled
            and version.key_id not in held
            and current
            and version.created < current.created
            and (current.key_id in held or self.now - version.created >= REPLICATION)
        ]
        return min(left, key=lambda version: version.created, default=None)

    def ended(self, key_id: KeyId | None) -> bool:
        """Whether a credential has ended."""
        return any(p.key_id == key_id and p.ends <= self.now for p in self.passwords)

    def _newest(self, name: str) -> VaultVersion | None:
        held = {password.key_id for password in self.passwords}
        mine = [
            version
            for version in self.versions
            if version.name == name
            and version.enabled
            and version.key_id
            and (version.key_id in held or self.now - version.created < REPLICATION)
        ]
        return max(mine, key=lambda version: version.created, default=None)


class SecretStep(Enum):
    """What a client secret needs next until it is current."""

    DISCARD = "discard"
    MINT = "mint and stage"
    PROMOTE = "prove and promote"
    CLOSE_STAGED = "close the staged version"
    CLOSE_REMOVED = "close the removed one's version"
    NOTHING = "nothing"


def _is_current(facts: SecretFacts) -> bool:
    current = facts.current
    return bool(current and current.key_id != facts.replace and not facts.ended(current.key_id))


SECRET_TABLE: tuple[tuple[str, Callable[[SecretFacts], bool], SecretStep], ...] = (
    (
        "A credential of ours, younger than seven days, has a key ID that no vault version knows: its value is lost.",
        lambda facts: facts.valueless is not None,
        SecretStep.DISCARD,
    ),
    (
        "The staged version holds the secret that is current already.",
        lambda facts: bool(facts.staged and facts.current and facts.staged.key_id == facts.current.key_id),
        SecretStep.CLOSE_STAGED,
    ),
    (
        "An older version of the public name is open, and its secret is gone from the application.",
        lambda facts: facts.removed is not None,
        SecretStep.CLOSE_REMOVED,
    ),
    ("A secret is staged and not current yet.", lambda facts: facts.staged is not None, SecretStep.PROMOTE),
    ("The current secret is there, has not ended and is not to be succeeded.", _is_current, SecretStep.NOTHING),
    ("There is no such secret: none, an ended one, or one to be succeeded.", lambda _: True, SecretStep.MINT),
)


def next_step(facts: SecretFacts) -> SecretStep:
    """Decide what makes the secret current: the first row of the table whose condition holds."""
    return next(step for _, holds, step in SECRET_TABLE if holds(facts))


@dataclass(frozen=True)
class Succession:
    """A current secret that was handed over, and the one it succeeds."""

    old: PasswordCredential | None  # None: removed, or the first secret succeeds none
    compromised: bool
    remind_at: datetime | None  # None: another operation's page was mailed last, and that one reminds
    warned: bool  # whether the owner was warned of the old one's end
    acknowledged: datetime | None
    overlap: timedelta
    now: datetime


class SuccessionStep(Enum):
    """What a succession needs next once the new secret is handed over."""

    DONE = "done"
    RETIRE = "retire the old one"
    WAIT_OVERLAP = "wait until the overlap is over"
    WARN = "warn the owner and the operators"
    REMIND = "remind"
    WAIT_VENDOR = "wait for the vendor"


LOOK_AGAIN = timedelta(days=1)  # at what another operation reminds of
WARN_BEFORE = timedelta(days=14)  # of the old credential's natural end, while its successor is not in use

SUCCESSION_TABLE: tuple[tuple[str, Callable[[Succession], bool], SuccessionStep], ...] = (
    (
        "The old secret is removed, and the new one acknowledged.",
        lambda s: s.old is None and s.acknowledged is not None,
        SuccessionStep.DONE,
    ),
    (
        "The old secret is compromised and still there.",
        lambda s: s.compromised and s.old is not None,
        SuccessionStep.RETIRE,
    ),
    (
        "The new secret is acknowledged and the overlap is over.",
        lambda s: s.acknowledged is not None and s.now >= s.acknowledged + s.overlap,
        SuccessionStep.RETIRE,
    ),
    (
        "The new secret is acknowledged and the overlap runs.",
        lambda s: s.acknowledged is not None,
        SuccessionStep.WAIT_OVERLAP,
    ),
    (
        "Nobody has acknowledged, the old secret ends within 14 days, and the owner was not warned.",
        lambda s: s.old is not None and s.now < s.old.ends <= s.now + WARN_BEFORE and not s.warned,
        SuccessionStep.WARN,
    ),
    (
        "Nobody has acknowledged, and the last mail is older than the interval of reminders.",
        lambda s: s.remind_at is not None and s.now >= s.remind_at,
        SuccessionStep.REMIND,
    ),
    ("Nobody has acknowledged: the old secret stays to its natural end.", lambda _: True, SuccessionStep.WAIT_VENDOR),
)


def after_handoff(succession: Succession) -> SuccessionStep:
    """Decide what a handed-over successor needs: the first row of the table whose condition holds."""
    return next(step for _, holds, step in SUCCESSION_TABLE if holds(succession))


def wake(succession: Succession) -> datetime:
    """When a succession that waits has something to do again."""
    if succession.acknowledged:
        return succession.acknowledged + succession.overlap
    remind = succession.remind_at or succession.now + LOOK_AGAIN
    if succession.old and not succession.warned and succession.old.ends > succession.now:
        return min(remind, max(succession.old.ends - WARN_BEFORE, succession.now))
    return remind


def due_at(credential: PasswordCredential | TokenSigningCertificate, renew_before: timedelta) -> datetime:
    """When a successor is needed: so long before the end, but never in the first half of a short life.

    Where a profile or the tenant's policy gives less life than the renewal asks for, each would be due at its birth.
    """
    return credential.ends - min(renew_before, (credential.ends - credential.starts) / 2)


def is_due(credential: PasswordCredential | TokenSigningCertificate, renew_before: timedelta, now: datetime) -> bool:
    """Whether a credential needs a successor."""
    return now >= due_at(credential, renew_before)


def carries_marker(display_name: str, key: Key) -> bool:
    """Whether a credential's display name begins with our marker, and not with a longer instance's."""
    return display_name == key.marker or display_name.startswith(f"{key.marker} ")
