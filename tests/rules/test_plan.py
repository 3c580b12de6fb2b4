"""The plan of an onboarding: what is missing, in order, and nothing else."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sso import steps
from sso.model import ClientId as ClientIdentifier
from sso.model import (
    KeyId,
    OperationId,
    PasswordCredential,
    Unmanaged,
    VaultVersion,
    foreign_tags,
    owner_from_tags,
)
from sso.model import ObjectId as ObjectIdentifier
from sso.observed import Observed
from sso.onboarding import plan
from tests.rules.paper import CATALOG, DEPLOYMENT, NEW_OWNER, NOW, PEOPLE, VENDORS, Paper, complete, nothing, request

GALLERY_OIDC = (
    "instantiate",
    "configure_service_principal",
    "configure_application",
    "grant_consent",
    "mint_secret",
    "promote_secret",
    "assign",
    "mail_handoff",
    "mail_code",
)
GALLERY_SAML = (
    "instantiate",
    "configure_service_principal",
    "configure_application",
    "add_certificate",
    "activate_certificate",
    "assign",
    "mail_handoff",
    "mail_code",
)
FRESH: Mapping[str, tuple[str, ...]] = {
    "clicktime": GALLERY_SAML,
    "thoropass": GALLERY_SAML,
    "smarttrace": GALLERY_OIDC,
    "ilogon_mha": GALLERY_OIDC,
    "hellotracks": (
        "create_application",
        "create_service_principal",
        "grant_consent",
        "mint_secret",
        "promote_secret",
        "assign",
        "mail_handoff",
        "mail_code",
    ),
}
# The one order of design 5; steps of one rank stand for one another.
ORDER = (
    {"instantiate", "create_application"},
    {"create_service_principal"},
    {"configure_service_principal"},
    {"change_owner"},
    {"configure_application"},
    {"grant_consent"},
    {"discard_secret", "add_certificate", "close_staged", "close_removed"},
    {"mint_secret"},
    {"promote_secret", "activate_certificate"},
    {"assign"},
    {"mail_handoff"},
    {"mail_code"},
)


def rank(step: str) -> int:
    """The place of a step in the one order."""
    return next(place for place, names in enumerate(ORDER) if step in names)


@pytest.mark.parametrize("vendor", VENDORS)
def test_fresh_plan_holds_every_step_of_the_vendors_kind(vendor: str) -> None:
    """Where nothing exists the plan is the whole onboarding, in the order of the design."""
    paper = Paper(CATALOG.load(vendor), request(vendor))
    assert tuple(step.name for step in paper.planned()) == FRESH[vendor]


@pytest.mark.parametrize("vendor", VENDORS)
def test_steps_taken_are_the_ones_that_were_shown(vendor: str) -> None:
    """Planning again after every step never adds, drops, rewords or reorders one, and ends empty."""
    paper = Paper(CATALOG.load(vendor), request(vendor))
    shown = [(step.name, step.sentence, step.affects) for step in paper.planned()]
    assert [(step.name, step.sentence, step.affects) for step in paper.take_all()] == shown
    assert paper.planned() == ()


@pytest.mark.parametrize("vendor", VENDORS)
def test_every_step_says_itself_in_one_sentence(vendor: str) -> None:
    """A step is one sentence with a full stop, and says who is affected."""
    for step in Paper(CATALOG.load(vendor), request(vendor)).planned():
        assert step.sentence.endswith(".")
        assert step.sentence[0].isupper()
        assert "\n" not in step.sentence
        assert step.affects


def test_saml_mode_is_set_before_the_identifiers() -> None:
    """The service principal is in SAML mode before its application gets identifiers, which only then are exempt."""
    taken = list(Paper(CATALOG.load("clicktime"), request("clicktime")).planned())
    mode = next(n for n, s in enumerate(taken) if isinstance(s, steps.ConfigureServicePrincipal))
    identifiers = next(n for n, s in enumerate(taken) if isinstance(s, steps.ConfigureApplication))
    assert mode < identifiers
    first = taken[mode]
    assert isinstance(first, steps.ConfigureServicePrincipal)
    assert first.settings.sign_on_mode == "saml"
    second = taken[identifiers]
    assert isinstance(second, steps.ConfigureApplication)
    assert second.settings.identifiers == ("https://app.clicktime.com/sp/",)


# Whatever subset exists


Loss = Callable[[Observed], Observed]


def _application(observed: Observed, **changes: Any) -> Observed:
    assert observed.application is not None
    return replace(observed, application=replace(observed.application, **changes))


def _service_principal(observed: Observed, **changes: Any) -> Observed:
    assert observed.service_principal is not None
    return replace(observed, service_principal=replace(observed.service_principal, **changes))


def _without_certificates(observed: Observed) -> Observed:
    return _service_principal(observed, certificates=(), active_thumbprint=None)


def _without_promoted(observed: Observed) -> Observed:
    """As if a run had died between staging and promoting."""
    name = observed.key.staged_secret_name
    return replace(observed, versions=tuple(replace(v, enabled=True) for v in observed.versions if v.name == name))


def _without_page_field(name: str) -> Loss:
    def lose(observed: Observed) -> Observed:
        if observed.page is None:
            return observed
        lost: dict[str, Any] = {name: None}
        return replace(observed, page=replace(observed.page, **lost))

    return lose


# What can be lost, in words; the steps that bring it back; what is lost.
BOTH: Mapping[str, tuple[set[str], Loss]] = {
    "the unique name": ({"configure_application"}, lambda o: _application(o, unique_name=None)),
    "the display name": ({"configure_application"}, lambda o: _application(o, display_name=o.key.marker)),
    "the tags": ({"configure_application"}, lambda o: _application(o, tags=())),
    "the service principal's tags": ({"configure_service_principal"}, lambda o: _service_principal(o, tags=())),
    "the sign-on mode": ({"configure_service_principal"}, lambda o: _service_principal(o, sign_on_mode=None)),
    "that people must be assigned": (
        {"configure_service_principal"},
        lambda o: _service_principal(o, assignment_required=False),
    ),
    "all assignments": ({"assign"}, lambda o: replace(o, assignments=())),
    "one assignment": ({"assign"}, lambda o: replace(o, assignments=o.assignments[:1])),
    "the page": ({"mail_handoff", "mail_code"}, lambda o: replace(o, page=None)),
    "the mail with the link": ({"mail_handoff", "mail_code"}, _without_page_field("link_mailed")),
    "the mail with the code": ({"mail_code"}, _without_page_field("code_mailed")),
}
OIDC: Mapping[str, tuple[set[str], Loss]] = {
    "the consent": ({"grant_consent"}, lambda o: replace(o, grant=None)),
    "one consented scope": (
        {"grant_consent"},
        lambda o: replace(o, grant=replace(o.grant, scopes=frozenset({"openid"})) if o.grant else None),
    ),
    "the declared scopes": ({"configure_application"}, lambda o: _application(o, required_scopes=frozenset())),
    "the promoted version": ({"promote_secret"}, _without_promoted),
    "both vault versions": (
        {"discard_secret", "mint_secret", "promote_secret", "mail_handoff", "mail_code"},
        lambda o: replace(o, versions=()),
    ),
    "the client secret": (
        {"mint_secret", "promote_secret", "mail_handoff", "mail_code"},
        # Long ago, for what was staged just now counts as held: a lagging replica may not list it yet.
        lambda o: _application(
            replace(o, versions=tuple(replace(v, created=NOW - timedelta(hours=1)) for v in o.versions)), passwords=()
        ),
    ),
}
SAML: Mapping[str, tuple[set[str], Loss]] = {
    "the activation": ({"activate_certificate"}, lambda o: _service_principal(o, active_thumbprint=None)),
    "the certificate": (
        {"add_certificate", "activate_certificate", "mail_handoff", "mail_code"},
        _without_certificates,
    ),
    "who is notified of its end": (
        {"configure_service_principal"},
        lambda o: _service_principal(o, notification_addresses=()),
    ),
}
EARLIER = OperationId("8299999999999-11111111")
COMPLETE = {vendor: complete(vendor) for vendor in VENDORS}


def _losses(vendor: str) -> dict[str, tuple[set[str], Loss]]:
    return {**BOTH, **(SAML if CATALOG.load(vendor).protocol == "saml" else OIDC)}


@st.composite
def _partly_lost(draw: st.DrawFn) -> tuple[str, list[str]]:
    vendor = draw(st.sampled_from(VENDORS))
    return vendor, draw(st.lists(st.sampled_from(sorted(_losses(vendor))), unique=True, max_size=6))


@given(_partly_lost())
def test_whatever_is_missing_is_made_and_nothing_else(lost: tuple[str, list[str]]) -> None:
    """Whatever subset of an onboarding exists, the plan repeats none of it, keeps the one order and ends empty."""
    vendor, names = lost
    whole = COMPLETE[vendor]
    observed, expected = whole.observed, set[str]()
    for name in names:
        brings_back, lose = _losses(vendor)[name]
        observed = lose(observed)
        expected |= brings_back
    paper = Paper(whole.profile, whole.wanted, observed)
    shown = [step.name for step in paper.planned()]
    # Until the certificate or secret is in use a plan cannot know that its hand-off has been told already.
    unknown = {"mail_handoff", "mail_code"} if {"the activation", "the promoted version"} & set(names) else set()
    assert set(shown) <= expected | unknown
    assert [rank(name) for name in shown] == sorted(rank(name) for name in shown)
    taken = [step.name for step in paper.take_all()]
    assert set(taken) <= expected | {"close_staged", "close_removed"}
    assert paper.planned() == ()
    assert bool(taken) == bool(names)


@given(st.sampled_from(VENDORS), st.data())
def test_cut_run_is_continued_not_repeated(vendor: str, data: st.DataObject) -> None:
    """After any number of steps the rest of the plan is what was left of it: the run may have died there."""
    paper = Paper(CATALOG.load(vendor), request(vendor))
    shown = [step.name for step in paper.planned()]
    cut = data.draw(st.integers(0, len(shown)))
    run = paper.take_all()
    assert [next(run).name for _ in range(cut)] == shown[:cut]
    assert [step.name for step in paper.planned()] == shown[cut:]


@pytest.mark.parametrize("vendor", VENDORS)
def test_principals_on_their_way_are_not_assigned_again(vendor: str) -> None:
    """A grant that is queued already is not planned a second time."""
    whole = COMPLETE[vendor]
    observed = replace(whole.observed, assignments=())
    queued = frozenset(person.object_id for person in PEOPLE)
    assert plan(whole.profile, whole.wanted, observed, DEPLOYMENT, NOW, queued=queued).steps == ()
    left = plan(whole.profile, whole.wanted, observed, DEPLOYMENT, NOW, queued=queued - {PEOPLE[0].object_id}).steps
    assert len(left) == 1
    assert isinstance(left[0], steps.Assign)
    assert left[0].principals == (PEOPLE[0],)


@pytest.mark.parametrize("vendor", VENDORS)
def test_consent_tags_and_assignments_of_others_are_kept(vendor: str) -> None:
    """Others' tags stay in every write, and a wider consent or more assignments than asked for are no drift."""
    whole = COMPLETE[vendor]
    observed = _application(whole.observed, tags=(*_tags(whole.observed), "cost centre 7"))
    if observed.grant:
        observed = replace(observed, grant=replace(observed.grant, scopes=observed.grant.scopes | {"User.Read"}))
    assert Paper(whole.profile, whole.wanted, observed).planned() == ()
    moved = replace(whole.wanted, display_name="Another name")
    changes = Paper(whole.profile, moved, _application(observed, tags=("cost centre 7",))).planned()
    settings = next(step.settings for step in changes if isinstance(step, steps.ConfigureApplication))
    assert foreign_tags(settings.tags or ()) == ("cost centre 7",)


def _tags(observed: Observed) -> tuple[str, ...]:
    assert observed.application is not None
    return observed.application.tags


@pytest.mark.parametrize("vendor", VENDORS)
def test_name_that_somebody_gave_is_never_drift(vendor: str) -> None:
    """A changed display name stays, unless a request names one."""
    whole = COMPLETE[vendor]
    renamed = _application(whole.observed, display_name="Tracking (pilot)")
    assert Paper(whole.profile, whole.wanted, renamed).planned() == ()
    asked = Paper(whole.profile, replace(whole.wanted, display_name="Tracking"), renamed).planned()
    assert [step.name for step in asked] == ["configure_application"]


@pytest.mark.parametrize("vendor", VENDORS)
def test_new_owner_is_a_step_of_its_own(vendor: str) -> None:
    """A change of owner names the old one in its sentence, and is written by no other step."""
    whole = COMPLETE[vendor]
    paper = Paper(whole.profile, replace(whole.wanted, owner=NEW_OWNER.object_id), whole.observed)
    taken = list(paper.take_all())
    assert isinstance(taken[0], steps.ChangeOwner)
    assert "App Owner" in taken[0].sentence
    assert {step.name for step in taken[1:]} <= {"mail_handoff", "mail_code"}
    assert owner_from_tags(_tags(paper.observed)) == NEW_OWNER.object_id


def test_unmanaged_application_is_named_and_left_alone() -> None:
    """An application of the same name without our mark is a note of the plan, with the tag that allows adoption."""
    profile, wanted = CATALOG.load("smarttrace"), request("smarttrace")
    other = Unmanaged(ObjectIdentifier("stranger"), ClientIdentifier("its client"), "SmartTrace", ())
    observed = replace(nothing(profile, wanted.key), unmanaged=(other,))
    found = plan(profile, wanted, observed, DEPLOYMENT, NOW)
    assert found.steps == Paper(profile, wanted).planned()
    assert len(found.notes) == 1
    assert "stranger" in found.notes[0]
    assert "gatehouse:adopt:smarttrace/default" in found.notes[0]


@pytest.mark.parametrize("vendor", ["ilogon_mha", "thoropass"])
def test_template_without_addresses_ends_before_any_credential(vendor: str) -> None:
    """Where the gallery presets nothing the plan stops before certificate or secret, with the line for the profile."""
    profile, wanted = CATALOG.load(vendor), request(vendor)
    bare = replace(
        nothing(profile, wanted.key),
        templates=tuple(replace(t, configuration={}) for t in nothing(profile, wanted.key).templates),
    )
    paper = Paper(profile, wanted, bare)
    taken = [step.name for step in paper.take_all()]
    assert taken == ["instantiate", "configure_service_principal", "configure_application"]
    block = plan(profile, wanted, paper.observed, DEPLOYMENT, NOW).block
    assert block is not None
    assert block.what == "failed"
    assert "of the profile" in block.detail


def test_collected_secret_is_replaced_by_a_hand_off_that_is_asked_for_again() -> None:
    """Where the last page was collected and not acknowledged, the next hand-off brings another secret first."""
    whole = COMPLETE["smarttrace"]
    assert whole.observed.page is not None
    spent = replace(whole.observed.page, state="collected", collected=NOW, operation=EARLIER)
    paper = Paper(whole.profile, replace(whole.wanted, hand_off_again=True), replace(whole.observed, page=spent))
    assert [step.name for step in paper.take_all()] == ["mint_secret", "promote_secret", "mail_handoff", "mail_code"]
    assert paper.observed.application is not None
    assert len(paper.observed.application.passwords) == 2, "the one that was collected stays"


def test_uncollected_secret_is_handed_off_again_as_it_is() -> None:
    """A new hand-off of a secret that nobody has collected mails a new link and code, and mints nothing."""
    whole = COMPLETE["smarttrace"]
    assert whole.observed.page is not None
    earlier = replace(whole.observed, page=replace(whole.observed.page, operation=EARLIER))
    paper = Paper(whole.profile, replace(whole.wanted, hand_off_again=True), earlier)
    assert [step.name for step in paper.take_all()] == ["mail_handoff", "mail_code"]


@given(st.integers(0, 3), st.integers(0, 3))
def test_credentials_and_versions_of_others_change_no_plan(passwords: int, versions: int) -> None:
    """Somebody else's client secrets and vault versions neither satisfy the plan nor appear in it."""
    whole = COMPLETE["smarttrace"]
    assert whole.observed.application is not None
    others = tuple(
        PasswordCredential(KeyId(f"foreign {n}"), f"made by hand {n}", NOW - timedelta(days=1), NOW + timedelta(1))
        for n in range(passwords)
    )
    strange = tuple(
        VaultVersion("another-secret", f"v{n}", True, KeyId(f"foreign {n}"), NOW, None) for n in range(versions)
    )
    held = (*whole.observed.application.passwords, *others)
    observed = replace(_application(whole.observed, passwords=held), versions=(*whole.observed.versions, *strange))
    assert Paper(whole.profile, whole.wanted, observed).planned() == ()
    bare = replace(_application(whole.observed, passwords=others), versions=strange)
    assert "mint_secret" in [step.name for step in Paper(whole.profile, whole.wanted, bare).planned()]


@pytest.mark.parametrize(
    "state",
    ["locked", "lapsed", "replaced"],
)
def test_page_that_nobody_can_use_is_followed_by_another(state: Any) -> None:
    """A page that is locked, lapsed or replaced leads to a new link and a new code."""
    whole = COMPLETE["thoropass"]
    assert whole.observed.page is not None
    other = replace(whole.observed.page, state=state, operation=OperationId("another"))
    observed = replace(whole.observed, page=other)
    assert [step.name for step in Paper(whole.profile, whole.wanted, observed).planned()] == [
        "mail_handoff",
        "mail_code",
    ]
