"""What the timer finds due, and which renewals it opens."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Literal

import pytest

from sso.due import Due, due, notice, opens, vendor_needs
from sso.model import KeyId, OperationId, PasswordCredential, Thumbprint
from sso.operation import Operation, accepted
from sso.rotation import Rotation
from tests.rules.paper import CATALOG, NOW, complete, request
from vendors.profile import CertificatePolicy, OidcProfile, SamlProfile, SecretPolicy

DAY = timedelta(days=1)
OLD = "old"


def rotation(
    succeeds: str, state: Literal["waiting", "failed", "done"], age: timedelta = timedelta(hours=2)
) -> Operation:
    """The newest rotation of an application, as the ledger keeps it."""
    wanted = replace(request("smarttrace"), rotation=Rotation(succeeds))
    return replace(accepted(OperationId("8-1"), "rotation", wanted, (), NOW - age), state=state)


@dataclass(frozen=True)
class Case:
    """What is due, the newest rotation, and whether another is opened."""

    found: Due
    last: Operation | None
    opened: bool


CASES: Mapping[str, Case] = {
    "due, and the ledger knows of no rotation": Case(Due(OLD), None, opened=True),
    "due, and its rotation is under way": Case(Due(OLD), rotation(OLD, "waiting"), opened=False),
    "due, and its rotation failed a moment ago": Case(Due(OLD), rotation(OLD, "failed"), opened=False),
    "due, and its rotation failed a day ago": Case(Due(OLD), rotation(OLD, "failed", DAY), opened=True),
    "due, and the last rotation made it": Case(Due(OLD), rotation("older", "done"), opened=True),
    "due, while its predecessor's rotation still waits": Case(Due(OLD), rotation("older", "waiting"), opened=True),
    "left behind by a rotation that is under way": Case(
        Due(OLD, left_behind=True), rotation(OLD, "waiting"), opened=False
    ),
    "left behind by a rotation that failed a day ago": Case(
        Due(OLD, left_behind=True), rotation(OLD, "failed", DAY), opened=True
    ),
    "left behind, and the ledger is lost": Case(Due(OLD, left_behind=True), None, opened=True),
    "left behind by a rotation that is done: a replica lags, or it is not ours to remove": Case(
        Due(OLD, left_behind=True), rotation(OLD, "done"), opened=False
    ),
    "left behind, while a younger one is rotated, which removes it too": Case(
        Due(OLD, left_behind=True), rotation("younger", "waiting"), opened=False
    ),
}


@pytest.mark.parametrize("case", CASES.values(), ids=list(CASES))
def test_renewal_is_opened_once_and_again_where_it_failed(case: Case) -> None:
    """What is due has one renewal under way; what failed is tried daily, also once its successor is there."""
    assert opens(case.found, case.last, NOW) is case.opened


def test_older_secret_is_due_as_long_as_it_may_be_the_vendors() -> None:
    """A younger secret does not hide that the older one ends; what has ended is due no more."""
    paper = complete("smarttrace")
    application = paper.observed.application
    assert application is not None
    [current] = application.passwords
    younger = replace(current, key_id=KeyId("younger"), starts=current.starts + DAY, ends=current.ends + 300 * DAY)
    by_hand = PasswordCredential(KeyId("by hand"), "made by hand", NOW, current.ends)
    both = replace(application, passwords=(current, younger, by_hand))
    late = current.ends - 10 * DAY
    found = due(paper.profile, paper.observed.key, both, None, late)
    assert list(found) == [Due(current.key_id, left_behind=True)]
    assert list(due(paper.profile, paper.observed.key, both, None, current.ends)) == []
    assert list(due(paper.profile, paper.observed.key, both, None, NOW)) == []


def test_certificate_that_no_longer_signs_is_left_behind() -> None:
    """An older certificate of ours is found beside the one that signs; one without our mark never is."""
    paper = complete("clicktime")
    application, found = paper.observed.application, paper.observed.service_principal
    assert application is not None
    assert found is not None
    [old] = found.certificates
    signs = replace(old, thumbprint=Thumbprint("SIGNS"), starts=NOW + DAY, ends=old.ends + DAY)
    by_hand = replace(old, thumbprint=Thumbprint("BY HAND"), display_name="CN=by hand")
    three = replace(found, certificates=(old, signs, by_hand), active_thumbprint=signs.thumbprint)
    left = Due(old.thumbprint, left_behind=True)
    assert list(due(paper.profile, paper.observed.key, application, three, NOW + 2 * DAY)) == [left]
    late = signs.ends - DAY
    assert list(due(paper.profile, paper.observed.key, application, three, late)) == [Due(signs.thumbprint)]


def test_vendor_has_its_time_whatever_the_profile_says() -> None:
    """A renewal comes early enough for a vendor that takes the whole overlap, or reads the metadata seldom."""
    oidc, saml = CATALOG.load("smarttrace"), CATALOG.load("clicktime")
    assert isinstance(oidc, OidcProfile)
    assert isinstance(saml, SamlProfile)
    assert notice(oidc) == timedelta(days=45)
    assert notice(saml) == timedelta(days=60)
    slow = SecretPolicy(renew_before_days=5, overlap_days=30)
    oidc = oidc.model_copy(update={"oidc": oidc.oidc.model_copy(update={"secret": slow})})
    assert notice(oidc) == vendor_needs(oidc) == timedelta(days=33)
    seldom = CertificatePolicy(renew_before_days=5, poll_hours=480)
    saml = saml.model_copy(update={"saml": saml.saml.model_copy(update={"certificate": seldom})})
    assert notice(saml) == timedelta(days=43)
