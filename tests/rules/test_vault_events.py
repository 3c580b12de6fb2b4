"""Which of the vault's events are about a client secret that people read: all others are ignored, with a reason."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sso.model import Key
from sso.vault_events import NEAR_EXPIRY, Ignored, NearEnd, near_end
from vendors.slug import parse_slug

KEY = Key(parse_slug("ilogon_mha"), "emea")
DATA = {
    "Id": f"https://gatehouse.vault.azure.net/secrets/{KEY.secret_name}/0123",
    "VaultName": "gatehouse",
    "ObjectType": "Secret",
    "ObjectName": KEY.secret_name,
    "Version": "0123",
    "NBF": None,
    "EXP": 1812542400,
}
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
)


@settings(max_examples=40)
@given(JSON, JSON)
def test_ends_are_not_read(not_before: Any, expires: Any) -> None:
    """Whatever NBF and EXP are, a number, a text, null or nonsense, the event is about its version."""
    assert near_end(NEAR_EXPIRY, {**DATA, "NBF": not_before, "EXP": expires}) == NearEnd(KEY, "0123")


@pytest.mark.parametrize(
    ("kind", "changed", "reason"),
    [
        ("Microsoft.KeyVault.SecretNewVersionCreated", {}, "its type is"),
        ("Microsoft.KeyVault.SecretExpired", {}, "its type is"),
        ("Microsoft.KeyVault.CertificateNearExpiry", {}, "its type is"),
        (None, {}, "its type is None"),
        (NEAR_EXPIRY, {"ObjectName": KEY.staged_secret_name}, "people read"),
        (NEAR_EXPIRY, {"ObjectName": "payroll-database"}, "people read"),
        (NEAR_EXPIRY, {"ObjectName": "gatehouse-webhook-hr-events"}, "people read"),
        (NEAR_EXPIRY, {"ObjectName": 7}, "names no version"),
        (NEAR_EXPIRY, {"Version": None}, "names no version"),
        (NEAR_EXPIRY, {"Version": ""}, "names no version"),
    ],
)
def test_anything_else_is_ignored(kind: str | None, changed: dict[str, Any], reason: str) -> None:
    """Another type, a staged name, a foreign name and an event without a version are ignored, each with its reason."""
    with pytest.raises(Ignored, match=reason):
        near_end(kind, {**DATA, **changed})


@settings(max_examples=40)
@given(JSON, JSON)
def test_nonsense_is_ignored_on_one_line(kind: Any, data: Any) -> None:
    """Nothing that an event may hold raises anything else, and the reason stays one short line."""
    for asked in ((kind, data), (NEAR_EXPIRY, data), (NEAR_EXPIRY, {"ObjectName": data, "Version": "1"})):
        with pytest.raises(Ignored) as ignored:
            near_end(*asked)
        assert len(str(ignored.value).splitlines()) == 1
        assert len(str(ignored.value)) < 300
