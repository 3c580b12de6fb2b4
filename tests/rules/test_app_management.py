"""What app management policies leave of a credential's life, and how a shorter life shrinks what the profile says."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sso.app_management import (
    CERTIFICATE_LIFETIME,
    MARGIN,
    PASSWORD_ADDITION,
    PASSWORD_LIFETIME,
    Policy,
    Restriction,
    certificate_life,
    forbids_secrets,
    in_force,
    of_days,
    secret_life,
)
from sso.model import KeyId, PasswordCredential
from sso.rotation import due_at, is_due
from vendors.profile import SecretPolicy

CREATED = datetime(2026, 6, 1, tzinfo=UTC)
DAY = timedelta(days=1)
SHORT = Restriction(PASSWORD_LIFETIME, 30 * DAY)


@pytest.mark.parametrize(
    ("restriction", "life"),
    [
        (Restriction(PASSWORD_LIFETIME, 30 * DAY), 30 * DAY - MARGIN),
        (Restriction(PASSWORD_LIFETIME, 180 * DAY), 180 * DAY),
        (Restriction(PASSWORD_LIFETIME, 400 * DAY), 180 * DAY),
        (Restriction(PASSWORD_LIFETIME, 30 * DAY, exempts=True), 30 * DAY - MARGIN),
        (Restriction(PASSWORD_LIFETIME, 30 * DAY, created_after=CREATED - DAY), 30 * DAY - MARGIN),
        (Restriction(PASSWORD_LIFETIME, 30 * DAY, created_after=CREATED), 180 * DAY),
        (Restriction(PASSWORD_LIFETIME, None), 180 * DAY),
        (Restriction("symmetricKeyLifetime", 30 * DAY), 180 * DAY),
    ],
)
def test_a_secret_lives_as_long_as_is_wanted_and_allowed(restriction: Restriction, life: timedelta) -> None:
    """A restriction shortens what is longer than it, for applications created after its date, exemptions or not."""
    assert secret_life(180 * DAY, Policy(secrets=(restriction,)), CREATED) == life


def test_the_shortest_restriction_counts() -> None:
    """Of several restrictions the shortest counts, and for a certificate that of either half."""
    secrets = tuple(Restriction(PASSWORD_LIFETIME, days * DAY) for days in (90, 60, 120))
    assert secret_life(180 * DAY, Policy(secrets=secrets), CREATED) == 60 * DAY - MARGIN
    year, month = (Restriction(CERTIFICATE_LIFETIME, days * DAY) for days in (365, 30))
    policy = Policy(certificates=(year,), service_principals=(month,))
    assert certificate_life(1095 * DAY, policy, CREATED) == 30 * DAY - MARGIN
    assert secret_life(180 * DAY, policy, CREATED) == 180 * DAY


def test_forbidden_is_what_nobody_is_exempt_from() -> None:
    """Secrets are forbidden where the restriction counts for this application and exempts no actors, who may be us."""
    forbidden = Restriction(PASSWORD_ADDITION)
    assert forbids_secrets(Policy(secrets=(forbidden,)), CREATED)
    assert not forbids_secrets(Policy(secrets=(Restriction(PASSWORD_ADDITION, exempts=True),)), CREATED)
    assert not forbids_secrets(Policy(secrets=(Restriction(PASSWORD_ADDITION, created_after=CREATED),)), CREATED)
    assert not forbids_secrets(Policy(secrets=(SHORT,)), CREATED)
    assert not forbids_secrets(Policy(), CREATED)


def test_a_policy_of_its_own_inherits_nothing_on_applications() -> None:
    """An application's own policy takes the default's place; what the default says of service principals stays."""
    default = Policy((Restriction(PASSWORD_ADDITION),), (SHORT,), (Restriction(CERTIFICATE_LIFETIME, DAY),))
    own = Policy((SHORT,))
    assert in_force(default, own) == Policy((SHORT,), (), default.service_principals)
    assert in_force(default, None) == default
    assert in_force(None, own) == own
    assert in_force(None, None) == Policy()


def test_a_plan_says_that_a_life_was_fitted() -> None:
    """A wanted life is said in days, a fitted one with the reason."""
    assert of_days(180 * DAY, 180 * DAY) == "180 days"
    assert of_days(30 * DAY - MARGIN, 180 * DAY) == "30 days, the most that the tenant's app management policy allows,"


policies = st.builds(
    lambda lifetime, renew: SecretPolicy(lifetime_days=lifetime, renew_before_days=min(renew, lifetime - 1)),
    st.integers(min_value=2, max_value=730),
    st.integers(min_value=1, max_value=365),
)


@given(policies, st.integers(min_value=1, max_value=800))
def test_no_secret_is_due_when_it_is_minted(secret: SecretPolicy, longest: int) -> None:
    """Whatever a policy leaves, a new secret is not due at once, and is due before it ends."""
    policy = Policy(secrets=(Restriction(PASSWORD_LIFETIME, longest * DAY),))
    life = secret_life(timedelta(days=secret.lifetime_days), policy, CREATED)
    minted = PasswordCredential(KeyId("k"), "x", CREATED, CREATED + life)
    notice = timedelta(days=secret.renew_before_days)
    assert not is_due(minted, notice, CREATED)
    assert CREATED < due_at(minted, notice) < minted.ends
