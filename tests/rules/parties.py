"""Vendors' sides on paper: each knows what its mails told it, acts after a time of its own, lets people in or not."""

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from sso import rollover
from sso.model import KeyId, Thumbprint
from sso.page import Page, state_at
from tests.rules.lives import Life
from vendors.profile import RolloverMode

LATER = timedelta(hours=1)  # when it tries again what a page did not take


@dataclass
class Times:
    """When a vendor does what: shares of the time that it takes for all of it, in ascending order."""

    takes: timedelta
    shares: tuple[float, float, float]
    _told: dict[str, datetime] = field(default_factory=dict)

    def told(self, what: str, now: datetime) -> None:
        """A mail came; only the first about the same thing sets the time."""
        self._told.setdefault(what, now)

    def at(self, what: str, number: int) -> datetime | None:
        """When the vendor does its first, second or third thing about what it was told."""
        told = self._told.get(what)
        return told + self.takes * self.shares[number] if told else None

    def has_come(self, what: str, number: int, now: datetime) -> bool:
        """Whether that time has come."""
        at = self.at(what, number)
        return at is not None and at <= now

    def next(self, now: datetime) -> datetime | None:
        """The next of all these times."""
        moments = (told + self.takes * share for told in self._told.values() for share in self.shares)
        return min((at for at in moments if at > now), default=None)


@dataclass
class Installer:
    """A vendor whose form holds one client secret: collects it, installs it, tests it and says so."""

    times: Times
    collected: set[str] = field(default_factory=set)
    installed: KeyId | None = None
    restless: bool = False  # a page did not take what its time had come for

    def next(self, now: datetime) -> datetime | None:
        """When it acts again."""
        return now + LATER if self.restless else self.times.next(now)

    def acts(self, life: Life) -> None:
        """Collect, install, acknowledge."""
        page, now, times = life.page, life.now, self.times
        self.restless = False
        if page is None or page.credential is None:
            return
        told = page.credential
        times.told(told, now)
        if told not in self.collected and times.has_come(told, 0, now):
            self.restless = state_at(page, now) != "open"
            if not self.restless:
                self.collected.add(told)
                page = replace(page, state="collected", collected=now, changed=now)
                life.change(page)
        if told in self.collected and times.has_come(told, 1, now):
            self.installed = KeyId(told)
        if self.installed == told and times.has_come(told, 2, now) and not life.observed.acknowledged(told):
            self.restless = state_at(page, now) != "collected"
            if not self.restless:
                life.acknowledge(told)

    def signs_in(self, life: Life) -> bool:
        """Whether the token service takes the secret that is installed."""
        application = life.observed.application
        if self.installed is None or application is None:
            return True
        return any(p.key_id == self.installed and p.ends > life.now for p in application.passwords)


@dataclass
class Verifier:
    """A vendor that verifies assertions with the certificates it trusts: by hand, or from the metadata."""

    mode: RolloverMode
    times: Times
    poll: timedelta
    trusted: tuple[Thumbprint, ...] = ()
    polled: datetime | None = None
    reads_until_it_works: bool = False
    set_up: bool = False  # once people have signed in for the first time

    def next(self, now: datetime) -> datetime | None:
        """When it acts again."""
        moments = [self.times.next(now)]
        if self.polled:
            moments.append(self.polled + self.poll)
        return min((at for at in moments if at and at > now), default=None)

    def acts(self, life: Life) -> None:
        """Read the metadata where it does that; press, paste and acknowledge by what the page tells."""
        now = life.now
        polls = self.mode in {"metadata", "metadata_single"} and self.trusted
        if polls and (self.polled is None or now >= self.polled + self.poll or self._is_reading(life)):
            self._read(life)
        page = life.page
        if page is None:
            return
        what = page.credential or f"renewal of {life.signing}"
        self.times.told(what, now)
        if state_at(page, now) not in {"open", "collected"}:
            return
        if not self.trusted:
            self._install_first(life, page, what)
        elif self.mode == "metadata_single" and page.credential and page.credential not in self.trusted:
            self._read(life)  # the mail says that there is a new one
        elif page.activates:
            self._activate(life, page, what)
        elif self.mode == "several" and what not in self.trusted and self.times.has_come(what, 0, now):
            self.trusted = (*self.trusted[-1:], Thumbprint(what))
        ready = page.credential in self.trusted and (not page.activates or page.activated is not None)
        if ready and self.times.has_come(what, 2, now) and not life.observed.acknowledged(page.credential):
            life.acknowledge(page.credential)
        self.set_up = self.set_up or (ready and self.works(life))

    def _install_first(self, life: Life, page: Page, what: str) -> None:
        if self.times.has_come(what, 0, life.now):
            if self.mode in {"metadata", "metadata_single"} or page.credential is None:
                self._read(life)
            else:
                self.trusted = (Thumbprint(page.credential),)

    def _activate(self, life: Life, page: Page, what: str) -> None:
        """Press "activate now", and take the new one from the page or the metadata at the same moment."""
        if page.activated is None and self.times.has_come(what, 1, life.now):
            life.press()
            self.reads_until_it_works = self.mode == "metadata_single"
            if self.mode == "single" and page.credential:
                self.trusted = (Thumbprint(page.credential),)

    def _is_reading(self, life: Life) -> bool:
        self.reads_until_it_works = self.reads_until_it_works and not self.works(life)
        return self.reads_until_it_works

    def _read(self, life: Life) -> None:
        """Take what the metadata lists; who keeps one takes the wrong one of several."""
        found = life.observed.service_principal
        listed = tuple(c.thumbprint for c in found.certificates) if found else ()
        self.polled = life.now
        self.trusted = listed if self.mode == "metadata" else listed[:1]

    def signs_in(self, life: Life) -> bool:
        """Whether people get in, once they did."""
        return not self.set_up or self.works(life)

    def works(self, life: Life) -> bool:
        """Whether the certificate that signs is trusted and has not ended."""
        found = life.observed.service_principal
        signing = rollover.active(found) if found else None
        return signing is not None and signing.thumbprint in self.trusted and signing.ends > life.now
