"""What Key Vault's events mean to us: that the version of one of our names is near its end, or nothing.

An event is a reason to look and no more. It may be late, doubled, raised by our own writes, or forged by whoever holds
the webhook's key; so nothing of it is believed but which version it is about, and what is due is decided from Entra and
vault. `NBF` and `EXP` come as numbers, texts or null (graph-contract 18) and are not read at all.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from sso.model import Key, key_from_secret_name

NEAR_EXPIRY = "Microsoft.KeyVault.SecretNearExpiry"
SHOWN = 80  # characters of what somebody else wrote, in a line of our log


@dataclass(frozen=True)
class NearEnd:
    """The version of a client secret that ends soon."""

    key: Key
    version: str


class Ignored(Exception):  # it says what happened, not that something is wrong
    """The event says nothing that we act on; the message says why, and goes into the log."""


def near_end(kind: object, data: object) -> NearEnd:
    """Read which client secret an event is about; raises `Ignored` for every other event."""
    if kind != NEAR_EXPIRY:
        raise Ignored(f"its type is {_shown(kind)}; only {NEAR_EXPIRY} wakes a rotation")
    if not isinstance(data, Mapping):
        raise Ignored("it has no data")
    name, version = data.get("ObjectName"), data.get("Version")
    if not isinstance(name, str) or not isinstance(version, str) or not version:
        raise Ignored(f"it names no version of a secret: {_shown(name)}, {_shown(version)}")
    key = key_from_secret_name(name)
    if key is None or name != key.secret_name:
        raise Ignored(f"{_shown(name)} is not the name of a client secret that people read")
    return NearEnd(key, version)


def _shown(value: object) -> str:
    """Somebody else's value on one line."""
    return repr(value)[:SHOWN]
