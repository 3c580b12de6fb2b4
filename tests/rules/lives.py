"""The life of one application on paper: time passes, the timer looks, operations run and die, the vendor acts.

It goes from one moment at which something happens to the next. At each, what people see is checked before and after
anything else is done: a sign-in that a credential's end cuts is seen as well as one that a step cuts.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Literal, Protocol, assert_never

from sso import rollover, steps
from sso.due import due, opens
from sso.model import KeyId, OperationId, PasswordCredential, Thumbprint, TokenSigningCertificate
from sso.observed import Observed
from sso.onboarding import plan
from sso.operation import Operation, accepted
from sso.page import Page
from sso.request import Onboarding, from_json, recorded
from sso.rotation import Rotation
from sso.steps import Step
from sso.told import credential_of
from tests.rules.paper import DEPLOYMENT, NOW, Paper, request
from vendors.profile import OidcProfile, Profile

DAY = timedelta(days=1)
TICK = timedelta(hours=6)  # between two looks of the timer: seldomer than it looks in truth
TAKEN_UP = timedelta(minutes=5)  # when the sweep finds what a dead run has left
MANY_STEPS = 60  # no run takes that many

Fault = Literal["none", "dies before", "dies after", "dies between", "fails"]
Deed = Literal["repeat", "hand off again", "rotate", "compromised", "forget", "foreign", "press", "acknowledge"]


class Party(Protocol):
    """The vendor's side."""

    def acts(self, life: "Life") -> None:
        """Do what is due by now, with what it was told."""

    def next(self, now: datetime) -> datetime | None:
        """When it acts again."""

    def signs_in(self, life: "Life") -> bool:
        """Whether people can sign in with what it holds; true while it holds nothing yet."""


@dataclass(frozen=True)
class Foreign:
    """What people have put on the application by hand: it is there for ever."""

    passwords: tuple[PasswordCredential, ...] = ()
    certificates: tuple[TokenSigningCertificate, ...] = ()


class Life:
    """One application from its onboarding on."""

    def __init__(
        self,
        vendor: str,
        profile: Profile,
        party: Party,
        *,
        faults: Iterable[Fault] = (),
        deeds: Iterable[tuple[timedelta, Deed]] = (),
    ) -> None:
        self._asked = request(vendor)
        self.paper = Paper(profile, self._asked)
        self.party = party
        self.now = NOW
        self.operations: list[Operation] = []  # newest first
        self._through = False  # whether a run came to its end since then
        self.pressing = False  # between "activate now" and the end of the run that it began: people are told to wait
        self.foreign = Foreign()
        self.story: list[str] = []  # what happened, for whoever reads why a life failed
        self.proved: set[KeyId] = set()
        self._faults = iter(faults)
        self._deeds = sorted((NOW + after, deed) for after, deed in deeds)
        self._numbers = 0
        self._open(self._asked, "onboarding")

    @property
    def observed(self) -> Observed:
        """What is there now."""
        return self.paper.observed

    @property
    def page(self) -> Page | None:
        """The page that the vendor has the link and the code of."""
        page = self.observed.page
        return page if page and page.link_mailed and page.code_mailed else None

    @property
    def keys(self) -> frozenset[KeyId]:
        """The key IDs that the application has."""
        application = self.observed.application
        return frozenset(password.key_id for password in application.passwords) if application else frozenset()

    def live(self, days: int) -> Iterator[None]:
        """Let time pass; yields before and after whatever happens."""
        end = NOW + days * DAY
        while self.now < end:
            yield
            self._deed()
            self._tick()
            for operation in self.operations:
                if not operation.finished and operation.not_before <= self.now:
                    self._run(operation)
                    yield
            self.party.acts(self)
            self.pressing = self.pressing and not self._through
            yield
            self.now = min(moment for moment in self._moments() if moment > self.now)

    def _moments(self) -> Iterator[datetime]:
        yield NOW + ((self.now - NOW) // TICK + 1) * TICK
        yield from (operation.not_before for operation in self.operations if not operation.finished)
        yield from (at for at, _ in self._deeds)
        if at := self.party.next(self.now):
            yield at
        yield self.now + TICK

    # What the app does

    def wake(self) -> None:
        """Let every operation that is not finished look at once."""
        soon = self.now + TAKEN_UP
        self.operations = [op if op.finished else replace(op, not_before=soon) for op in self.operations]

    def _open(self, wanted: Onboarding, kind: Literal["onboarding", "rotation"]) -> None:
        self._numbers += 1
        name = OperationId(f"operation {self._numbers}")
        self.operations.insert(0, accepted(name, kind, wanted, (), self.now))
        self.tell(f"{name}: {kind} {wanted.rotation or ''}")

    def _newest(self) -> Operation | None:
        return next((operation for operation in self.operations if operation.kind == "rotation"), None)

    def _tick(self) -> None:
        observed, profile = self.observed, self.paper.profile
        application, standing = observed.application, recorded(observed.key, observed.application)
        if application is None or standing is None:
            return
        for found in due(profile, observed.key, application, observed.service_principal, self.now):
            if opens(found, self._newest(), self.now):
                self._open(replace(standing, rotation=Rotation(found.credential)), "rotation")

    def _run(self, operation: Operation) -> None:
        """Take steps as a run does, until none is left, a fault ends it, or it has failed."""
        wanted, handed_off = from_json(operation.request), operation.handed_off
        page = self.observed.page
        if handed_off and page and self.observed.acknowledged(page.credential):
            self._put(replace(operation, state="done"))
            return
        self.paper.wanted, self.paper.operation, self.paper.now = wanted, operation.id, self.now
        for _ in range(MANY_STEPS):
            rest = plan(
                self.paper.profile,
                wanted,
                self.observed,
                DEPLOYMENT,
                self.now,
                operation=operation.id,
                handed_off=handed_off,
            )
            if not rest.steps:
                self._end(operation, rest.pause.until if rest.pause else None)
                return
            fault = next(self._faults, "none")
            if fault == "fails" and operation.kind == "rotation":
                self._put(replace(operation, state="failed", changed=self.now))
                self.tell(f"{operation.id}: failed at {rest.steps[0].name}")
                return
            if fault not in {"dies before", "fails"}:
                self._take(rest.steps[0], between=fault == "dies between")
            if fault != "none":
                self._put(replace(operation, not_before=self.now + TAKEN_UP))
                return
        raise AssertionError(f"the run never ends: {self.story[-10:]}")

    def _end(self, operation: Operation, until: datetime | None) -> None:
        self._through = self._through or operation.kind == "rotation"
        if operation.kind == "onboarding":
            until = until or self.now + DAY
            self._put(replace(operation, handed_off=True, not_before=max(until, self.now + TAKEN_UP)))
        elif until is None:
            self._put(replace(operation, state="done"))
        else:
            assert until > self.now, "what waits is not to be looked at for ever"
            self._put(replace(operation, not_before=until))

    def _put(self, operation: Operation) -> None:
        self.operations = [operation if op.id == operation.id else op for op in self.operations]

    def _take(self, step: Step, *, between: bool) -> None:
        before = self.observed
        if isinstance(step, steps.PromoteSecret) and step.staged and step.staged.key_id:
            self.proved.add(step.staged.key_id)
        self.tell(f"{self.paper.operation}: {step.name}{', cut' if between else ''}")
        self.paper.observed = self.paper.take(step)
        if between:
            self.paper.observed = _cut(step, before, self.observed)

    def tell(self, what: str) -> None:
        """Note what happened, with its day."""
        self.story.append(f"{(self.now - NOW) / DAY:.2f} {what}")

    # What others do

    def _deed(self) -> None:
        while self._deeds and self._deeds[0][0] <= self.now:
            deed = self._deeds.pop(0)[1]
            self.tell(deed)
            match deed:
                case "repeat" | "hand off again":
                    again = deed == "hand off again"
                    self._open(replace(self._asked, hand_off_again=again), "onboarding")
                case "rotate":
                    self._rotate("requested")
                case "compromised":
                    self._rotate("compromised")
                case "forget":
                    self.operations = []
                    self.paper.observed = replace(self.observed, page=None, acknowledgements={})
                case "foreign":
                    self._meddle()
                case "press":
                    self.press()
                case "acknowledge":
                    self.acknowledge(self.page.credential if self.page else None)
                case _:
                    assert_never(deed)

    def change(self, page: Page) -> None:
        """Write the hand-off's page."""
        self.paper.observed = replace(self.observed, page=page)

    def _rotate(self, reason: Literal["requested", "compromised"]) -> None:
        """A rotation is asked for, unless one is under way."""
        newest, standing = self._newest(), recorded(self.observed.key, self.observed.application)
        credential = self._in_use
        if standing is None or credential is None:
            return
        if newest and not newest.finished and from_json(newest.request).rotation == Rotation(credential):
            return
        self._open(replace(standing, rotation=Rotation(credential, reason)), "rotation")

    @property
    def _in_use(self) -> str | None:
        """The current secret, or the certificate that signs."""
        if isinstance(self.paper.profile, OidcProfile):
            return credential_of(self.paper.profile, self.observed, self.now)
        return self.signing

    @property
    def signing(self) -> str | None:
        """The thumbprint of the certificate that signs."""
        found = self.observed.service_principal
        return found.active_thumbprint if found else None

    def press(self) -> None:
        """Somebody presses "activate now"."""
        if self.page and self.page.activates and self.page.activated is None:
            self.change(replace(self.page, activated=self.now))
            self.pressing, self._through = True, False
            self.tell("pressed")
            self.wake()

    def acknowledge(self, credential: str | None) -> None:
        """Somebody says that a credential is installed and tested."""
        if credential is None:
            return
        self.tell(f"acknowledged {credential}")
        said = {**self.observed.acknowledgements, credential: self.now}
        self.paper.observed = replace(self.observed, acknowledgements=said)
        if self.observed.page and self.observed.page.credential == credential:
            self.change(replace(self.observed.page, state="acknowledged", changed=self.now))
        self.wake()

    def _meddle(self) -> None:
        """Somebody puts a secret and a certificate of their own on the application."""
        observed, key, number = self.observed, self.observed.key, len(self.foreign.passwords)
        if observed.application is None or observed.service_principal is None:
            return
        password = PasswordCredential(
            KeyId(f"by hand {number}"), f"{key.marker}-{number} by hand", self.now, self.now + 20 * DAY
        )
        certificate = TokenSigningCertificate(
            Thumbprint(f"BY HAND {number}"), f"{rollover.subject(key)}-2", self.now, self.now + 20 * DAY, b""
        )
        self.foreign = Foreign((*self.foreign.passwords, password), (*self.foreign.certificates, certificate))
        application, found = observed.application, observed.service_principal
        self.paper.observed = replace(
            observed,
            application=replace(application, passwords=(*application.passwords, password)),
            service_principal=replace(found, certificates=(*found.certificates, certificate)),
        )


def _cut(step: Step, before: Observed, after: Observed) -> Observed:
    """What is there where a run died between the two writes of a step."""
    match step:
        case steps.MintSecret() | steps.RetireSecret():
            return replace(after, versions=before.versions)
        case steps.PromoteSecret():
            known = {version.version: version for version in before.versions}
            return replace(after, versions=tuple(known.get(v.version, v) for v in after.versions))
        case steps.MailHandoff() | steps.Remind() if after.page:
            return replace(after, page=replace(after.page, link_mailed=None))
        case steps.MailCode() if after.page:
            return replace(after, page=replace(after.page, code_mailed=None))
        case _:
            return after
