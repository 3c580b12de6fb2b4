"""The client secret's state machine, as far as the first one goes: discard, mint and stage, promote.

Nothing is remembered: the application's credentials and the vault's versions decide what is next, so a run that died
anywhere is simply continued. Proving belongs to promoting: what has been proved is recorded by nothing but the promoted
version, whose newest one is therefore always proved.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum

from sso.model import Key, KeyId, PasswordCredential, VaultVersion

# A credential may be missing from a read for this long after it was minted (graph-contract 4): what the vault has
# staged since then counts as held.
REPLICATION = timedelta(minutes=30)
# A credential of ours without a value is removed only while it is this young: older, someone may have kept the value.
DISCARD_WITHIN = timedelta(days=7)


@dataclass(frozen=True)
class SecretFacts:
    """What the application and the vault say about the client secrets of one key."""

    key: Key
    passwords: tuple[PasswordCredential, ...]
    versions: tuple[VaultVersion, ...]
    now: datetime
    replace: KeyId | None = None  # a current secret that must be succeeded: it was collected and never acknowledged

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
    """What a client secret needs next."""

    DISCARD = "discard"
    MINT = "mint"
    PROMOTE = "promote"
    CLOSE_STAGED = "close staged"
    NOTHING = "nothing"


def carries_marker(display_name: str, key: Key) -> bool:
    """Whether a credential's display name begins with our marker, and not with a longer instance's."""
    return display_name == key.marker or display_name.startswith(f"{key.marker} ")


def valueless(facts: SecretFacts) -> PasswordCredential | None:
    """A young credential of ours whose value no vault version holds: its minting was cut short."""
    known = {version.key_id for version in facts.versions}
    lost = [p for p in facts.ours if p.key_id not in known and facts.now - p.starts < DISCARD_WITHIN]
    return min(lost, key=lambda password: password.starts, default=None)


def next_step(facts: SecretFacts) -> SecretStep:
    """Decide the next step of the first secret, or of the one that succeeds `facts.replace`."""
    current, staged = facts.current, facts.staged
    if valueless(facts):
        return SecretStep.DISCARD
    if staged and current and staged.key_id == current.key_id:
        return SecretStep.CLOSE_STAGED
    if staged:
        return SecretStep.PROMOTE
    ended = {password.key_id for password in facts.passwords if password.ends <= facts.now}
    if current and current.key_id != facts.replace and current.key_id not in ended:
        return SecretStep.NOTHING
    return SecretStep.MINT
