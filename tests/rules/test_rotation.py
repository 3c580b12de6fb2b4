"""The client secret's state machine: which step comes next, case by case."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sso.model import KeyId, PasswordCredential, VaultVersion, key_of
from sso.rotation import DISCARD_WITHIN, REPLICATION, SecretFacts, SecretStep, carries_marker, next_step

NOW = datetime(2026, 9, 1, 8, 30, tzinfo=UTC)
LONG_AGO = NOW - timedelta(hours=2)
KEY = key_of("smarttrace", "default")


def ours(
    name: str, *, age: timedelta = timedelta(hours=2), ends: datetime = NOW + timedelta(days=90)
) -> PasswordCredential:
    """A client secret with our marker."""
    return PasswordCredential(KeyId(name), f"{KEY.marker} 2026-09-01", NOW - age, ends)


def foreign(name: str, display_name: str = "made by hand", age: timedelta = timedelta(hours=2)) -> PasswordCredential:
    """A client secret without our marker."""
    return PasswordCredential(KeyId(name), display_name, NOW - age, NOW + timedelta(days=90))


def staged(name: str, *, enabled: bool = True, created: datetime = LONG_AGO) -> VaultVersion:
    """A version of the name that Gatehouse alone reads."""
    return VaultVersion(KEY.staged_secret_name, f"staged {name} {created}", enabled, KeyId(name), created, None)


def current(name: str, *, enabled: bool = True, created: datetime = LONG_AGO) -> VaultVersion:
    """A version of the name that people read."""
    return VaultVersion(
        KEY.secret_name, f"current {name} {created}", enabled, KeyId(name), created, NOW + timedelta(days=90)
    )


@dataclass(frozen=True)
class Case:
    """What application and vault hold, and what comes next."""

    next: SecretStep
    passwords: tuple[PasswordCredential, ...] = ()
    versions: tuple[VaultVersion, ...] = ()
    replace: str | None = None


CASES: Mapping[str, Case] = {
    "nothing exists: the first secret is minted": Case(SecretStep.MINT),
    "minted and cut off before the vault took it: the valueless one is discarded": Case(
        SecretStep.DISCARD, (ours("a"),)
    ),
    "valueless for eight days: somebody may have kept the value, so it stays and another is minted": Case(
        SecretStep.MINT, (ours("a", age=timedelta(days=8)),)
    ),
    "valueless for exactly seven days: it stays": Case(SecretStep.MINT, (ours("a", age=DISCARD_WITHIN),)),
    "staged: it is proved and promoted": Case(SecretStep.PROMOTE, (ours("a"),), (staged("a"),)),
    "promoted and cut off before the staged version was disabled: that is closed": Case(
        SecretStep.CLOSE_STAGED, (ours("a"),), (staged("a"), current("a"))
    ),
    "promoted and closed: nothing is left": Case(
        SecretStep.NOTHING, (ours("a"),), (staged("a", enabled=False), current("a"))
    ),
    "the current one ended: another is minted": Case(
        SecretStep.MINT, (ours("a", ends=NOW),), (staged("a", enabled=False), current("a"))
    ),
    "the current one was removed from the application: another is minted": Case(
        SecretStep.MINT, (), (staged("a", enabled=False), current("a"))
    ),
    "the current version was disabled by a person: another is minted": Case(
        SecretStep.MINT, (ours("a"),), (staged("a", enabled=False), current("a", enabled=False))
    ),
    "staged a moment ago and not listed yet: a lagging replica is believed to hold it": Case(
        SecretStep.PROMOTE, (), (staged("a", created=NOW - timedelta(minutes=1)),)
    ),
    "staged half an hour ago and still not listed: another is minted": Case(
        SecretStep.MINT, (), (staged("a", created=NOW - REPLICATION),)
    ),
    "somebody else's secret alone: ours is minted beside it": Case(SecretStep.MINT, (foreign("f"),)),
    "somebody else's secret beside ours: nothing is left to do": Case(
        SecretStep.NOTHING, (foreign("f"), ours("a")), (staged("a", enabled=False), current("a"))
    ),
    "another instance's marker that begins like ours: it is somebody else's": Case(
        SecretStep.MINT, (foreign("f", f"{KEY.marker}-emea 2026-09-01"),)
    ),
    "the current one was collected in vain: a successor is minted": Case(
        SecretStep.MINT, (ours("a"),), (staged("a", enabled=False), current("a")), replace="a"
    ),
    "the successor is staged: it is promoted": Case(
        SecretStep.PROMOTE, (ours("a"), ours("b")), (current("a"), staged("b", created=NOW)), replace="a"
    ),
    "the successor is current: nothing is left, and the old one stays": Case(
        SecretStep.NOTHING,
        (ours("a"), ours("b")),
        (current("a"), staged("b", enabled=False), current("b", created=NOW)),
        replace="a",
    ),
    "an old one was removed and its version not disabled: that is closed": Case(
        SecretStep.CLOSE_REMOVED, (ours("b"),), (current("a"), current("b", created=NOW - timedelta(minutes=40)))
    ),
    "a young one was removed and its version not disabled: the newer one is shown, so that is closed": Case(
        SecretStep.CLOSE_REMOVED,
        (ours("b"),),
        (current("a", created=NOW - timedelta(minutes=10)), current("b", created=NOW - timedelta(minutes=5))),
    ),
    "two young ones that no read shows yet: neither is closed": Case(
        SecretStep.NOTHING,
        (),
        (current("a", created=NOW - timedelta(minutes=10)), current("b", created=NOW - timedelta(minutes=5))),
    ),
    "two staged of ours: the newer one is promoted": Case(
        SecretStep.PROMOTE, (ours("a"), ours("b")), (staged("a"), staged("b", created=NOW))
    ),
    "a valueless one beside a finished one: it is discarded first": Case(
        SecretStep.DISCARD, (ours("a"), ours("b")), (current("a"),)
    ),
}


@pytest.mark.parametrize("case", CASES.values(), ids=list(CASES))
def test_next_step(case: Case) -> None:
    """The next step follows from what application and vault hold, and from nothing remembered."""
    successor_of = KeyId(case.replace) if case.replace else None
    assert next_step(SecretFacts(KEY, case.passwords, case.versions, NOW, successor_of)) is case.next


NAMES = st.sampled_from("abcdef")
PASSWORDS = st.lists(
    st.builds(
        PasswordCredential,
        NAMES.map(KeyId),
        st.sampled_from([KEY.marker, f"{KEY.marker} 2026-08-01", f"{KEY.marker}-2", "by hand", "", "Password 1"]),
        st.integers(-40, 40).map(lambda days: NOW - timedelta(days=days, hours=1)),
        st.integers(-40, 400).map(lambda days: NOW + timedelta(days=days, hours=1)),
    ),
    unique_by=lambda password: password.key_id,
    max_size=6,
).map(tuple)
VERSIONS = st.lists(
    st.builds(
        VaultVersion,
        st.sampled_from([KEY.secret_name, KEY.staged_secret_name, "another-secret"]),
        st.uuids().map(str),
        st.booleans(),
        st.none() | NAMES.map(KeyId),
        st.integers(0, 4000).map(lambda minutes: NOW - timedelta(minutes=minutes)),
        st.none(),
    ),
    max_size=6,
).map(tuple)


@given(PASSWORDS, VERSIONS)
def test_credential_of_others_is_never_discarded(
    passwords: tuple[PasswordCredential, ...], versions: tuple[VaultVersion, ...]
) -> None:
    """Only a credential with our marker, without a value anywhere and younger than seven days is ever discarded."""
    facts = SecretFacts(KEY, passwords, versions, NOW)
    lost = facts.valueless
    assert (lost is not None) == (next_step(facts) is SecretStep.DISCARD)
    if lost:
        assert carries_marker(lost.display_name, KEY)
        assert lost.key_id not in {version.key_id for version in versions}
        assert NOW - lost.starts < timedelta(days=7)


@given(PASSWORDS, VERSIONS)
def test_decision_rests_once_it_is_carried_out(
    passwords: tuple[PasswordCredential, ...], versions: tuple[VaultVersion, ...]
) -> None:
    """From any state, carrying out what comes next reaches NOTHING, and no secret that was current is taken away."""
    facts = SecretFacts(KEY, passwords, versions, NOW)
    before = {password.key_id for password in facts.passwords}
    valued = {version.key_id for version in versions}
    for number in range(40):
        match next_step(facts):
            case SecretStep.NOTHING:
                assert facts.current is not None
                gone = before - {password.key_id for password in facts.passwords}
                assert not gone & valued
                return
            case SecretStep.DISCARD:
                lost = facts.valueless
                facts = replace(facts, passwords=tuple(p for p in facts.passwords if p != lost))
            case SecretStep.MINT:
                made = ours(f"minted {number}", age=timedelta(0))
                version = staged(f"minted {number}", created=NOW + timedelta(seconds=number))
                facts = replace(facts, passwords=(*facts.passwords, made), versions=(*facts.versions, version))
            case SecretStep.PROMOTE:
                assert facts.staged is not None
                promoted = current(str(facts.staged.key_id), created=NOW + timedelta(seconds=number))
                facts = replace(facts, versions=(*facts.versions, promoted))
            case SecretStep.CLOSE_STAGED | SecretStep.CLOSE_REMOVED as step:
                closed = facts.staged if step is SecretStep.CLOSE_STAGED else facts.removed
                assert closed != facts.current
                facts = replace(
                    facts, versions=tuple(replace(v, enabled=False) if v == closed else v for v in facts.versions)
                )
    raise AssertionError("the secret never comes to rest")
