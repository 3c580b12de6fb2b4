"""The situation that a plan is made in: a request beside what was observed, and the facts that follow from the two.

Nothing is planned here: the tables of `rotation` and `rollover` and the plan of `onboarding` decide by these facts.
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import cached_property

from sso import rollover, rotation
from sso.app_management import forbids_secrets
from sso.deployment import Deployment
from sso.handoff import facts_of
from sso.model import Application, KeyId, PasswordCredential, ServicePrincipal, Thumbprint, TokenSigningCertificate
from sso.observed import Observed
from sso.page import Page, next_reminder, secret_is_spent, state_at
from sso.request import Onboarding
from sso.told import handoff
from sso.wanted import Wanted
from vendors.profile import GallerySource, OidcProfile, Profile
from vendors.windows import over

LIVE = frozenset({"open", "collected", "acknowledged"})  # pages that can be used, or have been


@dataclass(frozen=True)
class Situation:
    """One key at one moment, as one operation sees it."""

    profile: Profile
    request: Onboarding
    observed: Observed
    deployment: Deployment
    now: datetime
    operation: str | None  # None: nobody's, a plan that is only looked at

    @property
    def application(self) -> Application | None:
        """The application, once it exists."""
        return self.observed.application

    @property
    def service_principal(self) -> ServicePrincipal | None:
        """The service principal, once it exists."""
        return self.observed.service_principal

    @property
    def from_gallery(self) -> bool:
        """Whether the gallery makes the application."""
        return isinstance(self.profile.source, GallerySource)

    @cached_property
    def wanted(self) -> Wanted:
        """What profile and request want of both."""
        return Wanted(self.profile, self.request, self.observed, self.deployment.operators)

    # Credentials

    @property
    def _passwords(self) -> tuple[PasswordCredential, ...]:
        return self.application.passwords if self.application else ()

    @property
    def created(self) -> datetime:
        """When the application was made, or is: policies count for those that are made after a day."""
        return self.application.created if self.application else self.now

    @cached_property
    def secrets(self) -> rotation.SecretFacts:
        """The client secrets, and which of them is to be succeeded."""
        page = self.observed.page
        succeed = self.request.rotation.succeeds if self.request.rotation else None
        if self.request.hand_off_again and page and page.operation != self.operation and secret_is_spent(page):
            in_vain = page.credential and not self.observed.acknowledged(page.credential)
            succeed = KeyId(page.credential) if page.credential and in_vain else None
        return rotation.SecretFacts(self.request.key, self._passwords, self.observed.versions, self.now, succeed)

    @cached_property
    def forbidden(self) -> bool:
        """Whether what is missing is a client secret that the tenant's policy does not allow."""
        missing = isinstance(self.profile, OidcProfile) and (
            rotation.next_step(self.secrets) is rotation.SecretStep.MINT
        )
        return missing and forbids_secrets(self.observed.policy, self.created)

    # What is told

    @cached_property
    def live_page(self) -> Page | None:
        """The page that tells what is to be told, if it still can be used or has been."""
        page, told = self.observed.page, handoff(self.profile, self.request, self.observed, self.deployment, self.now)
        if page is None or told is None:
            return None
        if self.request.hand_off_again and page.operation != self.operation:
            return None
        if page.activates and self.request.rotation is None and page.credential in {None, told.credential}:
            # A rotation has announced more than this request knows of.
            return page if state_at(page, self.now) in LIVE else None
        if self.observed.acknowledged(told.credential):
            told = replace(told, owner=page.owner)  # a new owner alone is no news to a vendor that is set up
        # The operation whose page has lapsed renews it by its reminder.
        live = LIVE | {"lapsed"} if page.operation == self.operation else LIVE
        return page if page.facts == facts_of(told) and state_at(page, self.now) in live else None

    # Renewal

    @cached_property
    def succession(self) -> rotation.Succession | None:
        """What was handed over, beside what it succeeds; None until that has happened."""
        page, asked = self.live_page, self.request.rotation
        if page is None or page.link_mailed is None or self.rolling:
            return None
        mine = page.operation == self.operation
        if asked is None and not mine:
            return None
        old = self._predecessor(page)
        overlap = self.profile.oidc.secret.overlap_days if isinstance(self.profile, OidcProfile) else 0
        return rotation.Succession(
            old=old,
            compromised=bool(asked and old and asked.reason == "compromised" and asked.succeeds == old.key_id),
            remind_at=next_reminder(page, self.profile) if mine else None,
            warned=page.warned is not None,
            acknowledged=self.observed.acknowledged(page.credential),
            overlap=timedelta(days=overlap),
            now=self.now,
        )

    def _predecessor(self, page: Page) -> PasswordCredential | None:
        """The secret that is succeeded; once it is gone, an older one of ours that was handed over in vain."""
        asked = self.request.rotation
        if asked is None:
            return None
        old = next((p for p in self._passwords if p.key_id == asked.succeeds), None)
        new = next((p for p in self._passwords if p.key_id == page.credential), None)
        if old or new is None or not self.observed.acknowledged(page.credential):
            return old
        handed_over = {v.key_id for v in self.observed.versions if v.name == self.request.key.secret_name}
        ours = (p for p in self.secrets.ours if p.key_id in handed_over)
        return min((p for p in ours if p.starts < new.starts), key=lambda p: p.starts, default=None)

    @cached_property
    def rolling(self) -> rollover.Rollover | None:
        """The signing certificate that is to be succeeded, and how far that has come; None where none is."""
        asked, found, page = self.request.rotation, self.service_principal, self.live_page
        if asked is None or found is None or isinstance(self.profile, OidcProfile):
            return None
        policy, key = self.profile.saml.certificate, self.request.key
        old = next((c for c in found.certificates if c.thumbprint == asked.succeeds), None)
        new = rollover.successor(key, found, Thumbprint(asked.succeeds))
        others = [c for c in found.certificates if c.display_name != rollover.subject(key) and c.ends <= self.now]
        return rollover.Rollover(
            mode=rollover.mode_of(self.profile),
            old=old,
            removable=old is not None and old.display_name == rollover.subject(key) and not others,
            new=new,
            signs=new is not None and new.thumbprint == found.active_thumbprint,
            compromised=asked.reason == "compromised",
            told=page is not None and page.link_mailed is not None and page.code_mailed is not None,
            pressed=self._pressed(old, new),
            remind_at=next_reminder(page, self.profile) if page and page.operation == self.operation else None,
            warned=page is not None and page.warned is not None,
            acknowledged=self.observed.acknowledged(new.thumbprint if new else None),
            poll=timedelta(hours=policy.poll_hours),
            overlap=timedelta(days=policy.overlap_days),
            now=self.now,
        )

    def _pressed(self, old: TokenSigningCertificate | None, new: TokenSigningCertificate | None) -> bool:
        """For the successor, or before there was one: on this operation's page, or that of one that failed."""
        page = self.observed.page
        if page is None or page.activated is None or page.operation == self.operation:
            return page is not None and page.activated is not None
        if page.credential is None:
            return old is not None and page.activated > old.starts
        return new is not None and page.credential == new.thumbprint

    @property
    def ends(self) -> datetime | None:
        """When the credential ends that is to be succeeded; None where that one is gone."""
        asked = self.request.rotation
        if self.rolling:
            return self.rolling.old.ends if self.rolling.old else None
        return next((p.ends for p in self._passwords if asked and p.key_id == asked.succeeds), None)

    @property
    def freeze_over(self) -> datetime | None:
        """When the freeze is over that holds up what is asked for; None where none does."""
        asked = self.request.rotation
        if asked is None or asked.reason == "compromised" or (self.rolling and self.rolling.pressed):
            return None
        return over((*self.deployment.freeze, *self.profile.handoff.freeze), self.now)
