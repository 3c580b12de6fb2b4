"""Which steps of a plan are taken at the same moment."""

from datetime import UTC, datetime

import pytest

from sso import steps
from sso.model import ConsentGrant, KeyId, key_of
from sso.observed import Observed, learned
from sso.steps import Step, at_once

NOW = datetime(2026, 3, 1, tzinfo=UTC)
PRINCIPAL = steps.ConfigureServicePrincipal(sentence="", settings=steps.ServicePrincipalSettings())
APPLICATION = steps.ConfigureApplication(sentence="", settings=steps.ApplicationSettings())
CONSENT = steps.GrantConsent(sentence="", scopes=frozenset({"openid"}))
MINT = steps.MintSecret(sentence="", display_name="", ends=NOW)
PROMOTE = steps.PromoteSecret(sentence="", staged=None)
ACTIVATE = steps.ActivateCertificate(sentence="", thumbprint=None)
ASSIGN = steps.Assign(sentence="", principals=(), role=None)
LINK, CODE = steps.MailHandoff(sentence=""), steps.MailCode(sentence="")
RETIRE = steps.RetireSecret(sentence="", key_id=KeyId("1"))


@pytest.mark.parametrize(
    ("planned", "taken"),
    [
        ((PRINCIPAL, APPLICATION, CONSENT), 2),
        ((CONSENT, MINT, PROMOTE), 2),
        ((PROMOTE, ASSIGN, LINK), 2),
        ((ACTIVATE, ASSIGN, LINK), 2),
        ((LINK, CODE), 2),
        ((APPLICATION, PRINCIPAL), 1),
        ((MINT, PROMOTE), 1),
        ((ASSIGN, LINK, CODE), 1),
        ((LINK, RETIRE), 1),
        ((CODE,), 1),
    ],
)
def test_steps_that_need_nothing_of_one_another_are_taken_together(planned: tuple[Step, ...], taken: int) -> None:
    """The first step, and the second where it need not wait for it; never more, and never out of order."""
    assert at_once(planned, consents=True) == planned[:taken]


def test_nothing_is_minted_beside_a_consent_that_somebody_else_must_give() -> None:
    """Where our own token does not let us consent, the consent is tried alone."""
    assert at_once((CONSENT, MINT), consents=False) == (CONSENT,)
    assert at_once((LINK, CODE), consents=False) == (LINK, CODE)


def test_what_two_steps_found_is_put_together() -> None:
    """Each step's changes are learned, and what it did not touch stays as the other left it."""
    before = Observed(key_of("smarttrace", "default"))
    grant = ConsentGrant("1", frozenset({"openid"}))
    one, other = learned(before, before, Observed(before.key, grant=grant)), Observed(before.key, twins=())
    both = learned(one, before, Observed(before.key, deleted=("2",)))
    assert learned(both, before, other) == Observed(before.key, grant=grant, deleted=("2",))
