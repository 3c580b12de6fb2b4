"""The plan of an offboarding, and how the same request as ever brings an application back."""

from dataclasses import replace
from datetime import timedelta

import pytest

from sso import offboarding, steps
from sso.model import ADOPTED_TAG, offboarded_since
from sso.observed import Observed
from sso.onboarding import plan
from sso.steps import Step
from tests.rules.paper import CATALOG, DEPLOYMENT, NOW, VENDORS, Paper, complete, request

DAYS = 14
LATER = NOW + timedelta(days=DAYS)


def offboarded(vendor: str, *, until: int = 10) -> tuple[Paper, list[Step]]:
    """A complete application, some steps of its offboarding taken at once, and these steps."""
    paper, taken = complete(vendor), list[Step]()
    while len(taken) < until:
        names = frozenset(step.name for step in taken)
        rest = offboarding.plan(paper.profile, paper.observed, NOW, DAYS, NOW, taken=names).steps
        if not rest:
            break
        paper.observed = paper.take(rest[0])
        taken.append(rest[0])
    return paper, taken


@pytest.mark.parametrize("vendor", VENDORS)
def test_sign_in_stops_first_and_deletion_waits(vendor: str) -> None:
    """Sign-in is switched off, the vault's versions disabled, somebody told; the deletion comes with its time."""
    paper, taken = offboarded(vendor)
    oidc = [] if vendor in {"clicktime", "thoropass"} else ["disable_version"]
    assert [step.name for step in taken] == ["disable_sign_in", *oidc, "tell_offboarded"]
    names = frozenset(step.name for step in taken)
    waiting = offboarding.plan(paper.profile, paper.observed, NOW, DAYS, LATER - timedelta(seconds=1), taken=names)
    assert waiting.pause is not None
    assert (waiting.steps, waiting.pause.what, waiting.pause.until) == ((), "time", LATER)
    due = offboarding.plan(paper.profile, paper.observed, NOW, DAYS, LATER, taken=names)
    assert [step.name for step in due.steps] == ["delete_application"]
    gone = paper.take(due.steps[0])
    assert offboarding.plan(paper.profile, gone, NOW, DAYS, LATER, taken=names).steps == ()


@pytest.mark.parametrize("until", range(4))
@pytest.mark.parametrize("vendor", VENDORS)
def test_same_onboarding_brings_it_back_wherever_it_stopped(vendor: str, until: int) -> None:
    """Service principal and vault versions are enabled, the tag is gone, no other credential is made."""
    before = complete(vendor).observed
    paper, _ = offboarded(vendor, until=until)
    paper.wanted = request(vendor, revives=True)
    taken = [step.name for step in paper.take_all()]
    assert not {"mint_secret", "add_certificate", "instantiate", "create_application"} & set(taken)
    assert paper.observed.offboarded is None
    assert paper.observed.service_principal is not None
    assert paper.observed.service_principal.enabled
    assert paper.observed.versions == before.versions


def test_no_other_request_brings_it_back() -> None:
    """What people have not asked for by name, such as a rotation, leaves an offboarded application as it is."""
    paper, _ = offboarded("smarttrace")
    found = plan(paper.profile, request("smarttrace"), paper.observed, DEPLOYMENT, NOW)
    assert not {"enable_version", "configure_service_principal", "configure_application"} & {
        step.name for step in found.steps
    }
    assert any("offboarded since" in difference for difference in found.differences)


@pytest.mark.parametrize("vendor", VENDORS)
def test_deleted_application_is_restored_in_two_calls(vendor: str) -> None:
    """Application, then service principal; then everything is as it was before the offboarding."""
    paper, _ = offboarded(vendor)
    paper.observed = paper.take(steps.DeleteApplication(sentence="Delete it."))
    paper.wanted = request(vendor, revives=True)
    shown = paper.planned()
    assert [step.name for step in shown] == ["restore_application", "restore_service_principal"]
    taken = [step.name for step in paper.take_all()]
    assert taken[:2] == ["restore_application", "restore_service_principal"]
    assert "instantiate" not in taken
    assert paper.observed.offboarded is None


@pytest.mark.parametrize("by", ["tag", "hand"])
def test_offboarding_that_was_undone_deletes_nothing(by: str) -> None:
    """Without the tag of the start, or enabled by hand, nothing is done again and nothing is deleted."""
    paper, taken = offboarded("smarttrace")
    found = paper.observed.service_principal
    assert found is not None
    kept = tuple(tag for tag in found.tags if not offboarded_since((tag,)))
    changed = replace(found, tags=kept) if by == "tag" else replace(found, enabled=True)
    observed = replace(paper.observed, service_principal=changed)
    names = frozenset(step.name for step in taken)
    undone = offboarding.plan(paper.profile, observed, NOW, DAYS, LATER, taken=names)
    assert undone.steps == ()
    assert undone.block is not None
    assert undone.block.what == "undone"


def test_adopted_application_is_not_deleted() -> None:
    """What was made by hand is disabled on request, and its deletion is left to hands."""
    paper, taken = offboarded("smarttrace")
    assert paper.observed.application is not None
    adopted = replace(paper.observed.application, tags=(*paper.observed.application.tags, ADOPTED_TAG))
    observed: Observed = replace(paper.observed, application=adopted)
    names = frozenset(step.name for step in taken)
    found = offboarding.plan(paper.profile, observed, NOW, DAYS, LATER, taken=names)
    assert (found.steps, found.pause, found.block) == ((), None, None)
    assert "not deleted" in found.notes[0]


def test_disabled_by_hand_is_drift_and_stays() -> None:
    """Without the tag a disabled service principal is listed and not enabled."""
    observed = complete("smarttrace").observed
    assert observed.service_principal is not None
    disabled = replace(observed, service_principal=replace(observed.service_principal, enabled=False))
    found = plan(CATALOG.load("smarttrace"), request("smarttrace", revives=True), disabled, DEPLOYMENT, NOW)
    assert found.steps == ()
    assert any("is disabled" in difference for difference in found.differences)
