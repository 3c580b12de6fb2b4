"""Whole lives of applications, drawn by hypothesis: what the rules do with them over months, whatever dies on the way.

Nobody who acknowledges within the overlap is ever without a credential that works; nothing that is not ours is removed.
"""

import os
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.rules.lives import DAY, Deed, Fault, Life
from tests.rules.paper import CATALOG, NOW
from tests.rules.parties import Installer, Times, Verifier
from vendors.profile import CertificatePolicy, Handoff, OidcProfile, Profile, RolloverMode, SamlProfile, SecretPolicy

LIFE = 130  # days: some three generations of credentials
LIVES = 500 if os.environ.get("GATEHOUSE_SOAK") else 12
DYING: tuple[Fault, ...] = ("none", "dies before", "dies after", "dies between")
HARMLESS: tuple[Deed, ...] = ("repeat", "hand off again", "rotate", "forget", "foreign")
EVERY: tuple[Deed, ...] = (*HARMLESS, "compromised", "press", "acknowledge")
MODES: tuple[RolloverMode, ...] = ("metadata", "metadata_single", "several", "single")

Shares = tuple[float, float, float]
Deeds = list[tuple[timedelta, Deed]]

ATTEMPTS = 3  # days that are left for runs that fail; of a shorter life its half must leave them
overlaps = st.integers(0, 12)
days = st.integers(1, 40)
shares = st.lists(st.floats(0, 1), min_size=3, max_size=3).map(lambda drawn: tuple(sorted(drawn)))
dying = st.lists(st.sampled_from(DYING), max_size=24)
failing = st.sets(st.integers(0, 60), max_size=2)


def deeds(among: tuple[Deed, ...]) -> st.SearchStrategy[Deeds]:
    """What others do, and when."""
    hours = st.integers(1, LIFE * 24).map(lambda hour: timedelta(hours=hour))
    return st.lists(st.tuples(hours, st.sampled_from(among)), max_size=4)


@st.composite
def faults(draw: st.DrawFn) -> list[Fault]:
    """How steps end, one after the other: runs die at some, and two fail for good."""
    drawn, fail = draw(dying), draw(failing)
    length = max(len(drawn), *(number + 1 for number in fail), 0)
    none: Fault = "none"
    whole = drawn + [none] * (length - len(drawn))
    return ["fails" if number in fail else fault for number, fault in enumerate(whole)]


@st.composite
def secrets(draw: st.DrawFn) -> Profile:
    """A vendor's profile with any policy for its client secret whose half life leaves the vendor its time."""
    profile, overlap = CATALOG.load("smarttrace"), draw(overlaps)
    assert isinstance(profile, OidcProfile)
    policy = SecretPolicy(
        lifetime_days=2 * (overlap + ATTEMPTS) + draw(st.integers(0, 40)),
        renew_before_days=draw(days),
        overlap_days=overlap,
        remind_days=draw(st.integers(1, 20)),
    )
    oidc = profile.oidc.model_copy(update={"secret": policy})
    return profile.model_copy(update={"oidc": oidc, "handoff": _handoff(draw, profile)})


@st.composite
def certificates(draw: st.DrawFn) -> SamlProfile:
    """A vendor's profile with any policy for its certificate whose half life leaves the vendor its time."""
    profile, overlap, poll = CATALOG.load("clicktime"), draw(overlaps), draw(st.integers(12, 96))
    assert isinstance(profile, SamlProfile)
    policy = CertificatePolicy(
        lifetime_days=2 * (max(overlap, poll // 12 + 1) + ATTEMPTS) + draw(st.integers(0, 40)),
        renew_before_days=draw(days),
        overlap_days=overlap,
        remind_days=draw(st.integers(1, 20)),
        rollover=draw(st.sampled_from(MODES)),
        poll_hours=poll,
    )
    saml = profile.saml.model_copy(update={"certificate": policy})
    return profile.model_copy(update={"saml": saml, "handoff": _handoff(draw, profile)})


def _handoff(draw: st.DrawFn, profile: Profile) -> Handoff:
    first, length = draw(st.integers(0, LIFE)), draw(st.integers(0, 20))

    window = f"{NOW + first * DAY:%Y-%m-%d}..{NOW + (first + length) * DAY:%Y-%m-%d}"
    freeze = draw(st.sampled_from([(), (window,)]))
    return profile.handoff.model_copy(update={"valid_days": draw(st.integers(1, 14)), "freeze": freeze})


def installer(profile: Profile, drawn: Shares, late: int = 1) -> Installer:
    """A vendor that takes the overlap, or so many times of it, to acknowledge a secret."""
    assert isinstance(profile, OidcProfile)
    return Installer(Times(late * timedelta(days=profile.oidc.secret.overlap_days), drawn))


def verifier(profile: SamlProfile, drawn: Shares, late: int = 1) -> Verifier:
    """A vendor that takes the overlap, or so many times of it, to acknowledge a certificate."""
    policy = profile.saml.certificate
    assert policy.rollover
    poll = timedelta(hours=policy.poll_hours) * max(drawn[2], 0.5)
    return Verifier(policy.rollover, Times(late * timedelta(days=policy.overlap_days), drawn), poll)


def told(life: Life) -> str:
    """What a failing life is reported with."""
    profile = life.paper.profile
    policy = profile.oidc.secret if isinstance(profile, OidcProfile) else profile.saml.certificate
    found, application = life.observed.service_principal, life.observed.application
    held = (*(application.passwords if application else ()), *(found.certificates if found else ()))
    signs = found.active_thumbprint if found else None
    return "\n".join(
        (f"{policy!r} {profile.handoff.freeze}", *life.story, f"{life.now}: signs {signs}", *map(str, held))
    )


def nothing_foreign_is_lost(life: Life) -> None:
    """What people put there by hand is there, and so is the certificate that signs."""
    application, found = life.observed.application, life.observed.service_principal
    if application and found:
        assert set(life.foreign.passwords) <= set(application.passwords), told(life)
        assert set(life.foreign.certificates) <= set(found.certificates), told(life)
        assert life.signing in {None, *(certificate.thumbprint for certificate in found.certificates)}, told(life)


def reader_gets_what_works(life: Life) -> None:
    """The newest version of the vault's public name holds a proved secret that the application has."""
    observed, key = life.observed, life.observed.key
    public = [v for v in observed.versions if v.name == key.secret_name]
    if public and observed.application:
        newest = max(public, key=lambda version: version.created)
        assert newest.enabled, told(life)
        assert newest.key_id in life.proved, told(life)
        assert newest.key_id in {password.key_id for password in observed.application.passwords}, told(life)


@settings(max_examples=LIVES)
@given(secrets(), shares, faults(), deeds(HARMLESS))
def test_vendor_that_acknowledges_always_has_a_secret_that_works(
    profile: Profile, drawn: Shares, dies: list[Fault], done: Deeds
) -> None:
    """Whatever dies, is repeated or forgotten: who acknowledges within the overlap is never without a valid secret."""
    life = Life("smarttrace", profile, installer(profile, drawn), faults=dies, deeds=done)
    for _ in life.live(LIFE):
        assert life.party.signs_in(life), told(life)
        reader_gets_what_works(life)
        nothing_foreign_is_lost(life)


@settings(max_examples=LIVES)
@given(certificates(), shares, faults(), deeds(HARMLESS))
def test_vendor_that_acknowledges_always_trusts_what_signs(
    profile: SamlProfile, drawn: Shares, dies: list[Fault], done: Deeds
) -> None:
    """In each of the four modes people sign in throughout, but for the moment in which "activate now" is pressed."""
    if profile.saml.certificate.rollover == "metadata_single":
        done = [(at, deed) for at, deed in done if deed != "foreign"]
    life = Life("clicktime", profile, verifier(profile, drawn), faults=dies, deeds=done)
    for _ in life.live(LIFE):
        assert life.pressing or life.party.signs_in(life), told(life)
        nothing_foreign_is_lost(life)


@settings(max_examples=LIVES)
@given(secrets() | certificates(), shares, st.integers(0, 9), faults(), deeds(EVERY))
def test_nothing_that_is_not_ours_is_ever_removed(
    profile: Profile, drawn: Shares, late: int, dies: list[Fault], done: Deeds
) -> None:
    """With vendors that are late or silent, compromised credentials, and people who press and say what they like."""
    by_hand: Deeds = [(days * DAY, "foreign") for days in range(1, LIFE, 6)]
    if isinstance(profile, OidcProfile):
        life = Life("smarttrace", profile, installer(profile, drawn, late), faults=dies, deeds=[*by_hand, *done])
    else:
        life = Life("clicktime", profile, verifier(profile, drawn, late), faults=dies, deeds=[*by_hand, *done])
    for _ in life.live(LIFE):
        nothing_foreign_is_lost(life)
        if not {"compromised", "acknowledge"} & {deed for _, deed in done} and isinstance(life.party, Installer):
            assert life.party.installed in {None, *life.keys}, told(life)


@pytest.mark.parametrize("freeze", [(), ("2026-10-01..2026-10-14",)], ids=["", "in a freeze"])
@pytest.mark.parametrize("mode", [None, *MODES])
def test_vendor_may_take_the_whole_overlap(mode: RolloverMode | None, freeze: tuple[str, ...]) -> None:
    """Where a profile renews a day before the end, and two runs fail, a vendor that needs the overlap has it."""
    whole: Shares = (1.0, 1.0, 1.0)
    dies: list[Fault] = ["none" for _ in range(9)]
    dies += ["fails", "fails"]
    profile = CATALOG.load("clicktime" if mode else "smarttrace")
    profile = profile.model_copy(update={"handoff": profile.handoff.model_copy(update={"freeze": freeze})})
    if isinstance(profile, OidcProfile):
        secret = SecretPolicy(lifetime_days=60, renew_before_days=1, overlap_days=20)
        profile = profile.model_copy(update={"oidc": profile.oidc.model_copy(update={"secret": secret})})
        life = Life("smarttrace", profile, installer(profile, whole), faults=dies)
    else:
        policy = CertificatePolicy(lifetime_days=60, renew_before_days=1, overlap_days=20, rollover=mode)
        profile = profile.model_copy(update={"saml": profile.saml.model_copy(update={"certificate": policy})})
        life = Life("clicktime", profile, verifier(profile, whole), faults=dies)
    for _ in life.live(75):
        assert life.pressing or life.party.signs_in(life), told(life)


@pytest.mark.parametrize("mode", MODES)
def test_rollover_that_fails_at_any_step_is_taken_up(mode: RolloverMode) -> None:
    """A run that fails for good, wherever it does, is begun again a day later, knows of a press, and ends."""
    profile = CATALOG.load("clicktime")
    assert isinstance(profile, SamlProfile)
    policy = CertificatePolicy(lifetime_days=40, renew_before_days=20, overlap_days=4, rollover=mode)
    saml = profile.saml.model_copy(update={"certificate": policy})
    for fails_at in range(8, 17):  # the onboarding takes eight steps
        dies: list[Fault] = ["none" for _ in range(fails_at)]
        profile = profile.model_copy(update={"saml": saml})
        life = Life("clicktime", profile, verifier(profile, (0.2, 0.4, 0.8)), faults=[*dies, "fails"])
        for _ in life.live(38):
            assert life.pressing or life.party.signs_in(life), told(life)
        found = life.observed.service_principal
        assert found is not None
        assert [certificate.thumbprint for certificate in found.certificates] == [life.signing], told(life)
        assert life.signing != "thumbprint 0", told(life)
