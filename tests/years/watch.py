"""What must hold in all these years, looked at after every hour, at every kill, and at the end."""

from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

from azure.core.exceptions import HttpResponseError
from azure.keyvault.secrets.aio import SecretClient

from sso.errors import GatehouseError
from sso.freeze import NOTICE
from sso.model import ClientId, Key, Secret
from sso.rotation import WARN_BEFORE
from tests.stories.administrator import graph
from tests.years.company import CALM
from tests.years.life import DAY, HOUR, Life
from vendors.profile import OidcProfile

READ_EVERY = 4  # hours: what nothing happened to can only end, and its end is a deadline of its own
BY_HAND = "entered by hand"  # the display name of credentials that are not ours
WEEK = timedelta(days=7)


@dataclass
class Watch:
    """Looks at a life from outside: as people who sign in, as a program that reads the vault, as an auditor."""

    life: Life
    reader: SecretClient
    longest_freeze: timedelta
    weather: Mapping[str, float] | None = None
    foreign: dict[str, Key] = field(default_factory=dict)
    """Whose application each credential stands on that people made in the portal."""
    seen: Counter[str] = field(default_factory=Counter)
    least: dict[str, timedelta] = field(default_factory=dict)
    """Of each kind of credential, the least that was left of one whose vendor acts."""
    turn: int = 0

    async def make_foreign(self) -> None:
        """People make credentials on every second of our applications, in the portal."""
        for number, (key, application) in enumerate(await self.life.host.tenant.graph.managed()):
            if number % 2 == 0:
                body = {"passwordCredential": {"displayName": BY_HAND, "endDateTime": "2099-01-01T00:00:00Z"}}
                made = await graph(
                    self.life.host.world, "POST", f"/applications/{application.object_id}/addPassword", body
                )
                self.foreign[made["keyId"]] = key
        await self.life.look_ahead()

    @asynccontextmanager
    async def _calm(self) -> AsyncIterator[None]:
        """Let what is looked at be seen whatever the weather."""
        if self.weather:
            await self.life.host.world.control("PUT", "/switches", CALM)
        yield
        if self.weather:
            await self.life.host.world.control("PUT", "/switches", self.weather)

    async def hour(self) -> None:
        """After each hour: where something happened, and at one more application by turn."""
        keys = sorted(self.life.clients, key=str)
        self.turn += 1
        touched = self.life.host.touched
        async with self._calm():
            for key in sorted(touched | {keys[self.turn % len(keys)]}, key=str):
                await self.sign_in(key)
                if key in touched or self.turn % READ_EVERY == 0:
                    await self.read(key)
        self.credentials()

    async def at_kill(self, key: Key) -> None:
        """While a run is dead and no other has begun."""
        if key in self.life.installed:
            async with self._calm():
                await self.read(key)
                # Who holds one certificate cuts itself off between "activate now" and the run that activates.
                if self.life.acting != key or not self.life.profiles.cuts_off(key.vendor):
                    await self.sign_in(key)

    async def sign_in(self, key: Key) -> None:
        """People get in, as long as what a silent vendor uses has not come to its natural end."""
        life, installed = self.life, self.life.installed[key]
        if installed.ends <= life.now + HOUR:  # the tenant's clock goes on while the hour's work is done
            assert self._is_silent(key), f"{life.now}, {key}: what its vendor uses ends on {installed.ends}"
            return
        found = await life.host.world.sign_in(key.vendor, instance=key.instance)
        self.seen["sign-ins"] += 1
        assert found["signed_in"], f"{life.now}, {key} ({life.hands.get(key)}): {found['reason']}"

    async def read(self, key: Key) -> None:
        """Whoever reads the vault's public name gets a value that the token service takes."""
        tenant = self.life.host.tenant
        if not isinstance(tenant.catalog.load(key.vendor), OidcProfile):
            return
        try:
            found = await self.reader.get_secret(key.secret_name)
            client_id = ClientId(str((found.properties.tags or {})["client-id"]))
            await tenant.sts.prove_secret(client_id, Secret(str(found.value)))
        except (GatehouseError, HttpResponseError) as error:
            raise AssertionError(f"{self.life.now}, {key}: who reads the vault gets nothing usable: {error}") from error
        self.seen["reads of the vault"] += 1

    def credentials(self) -> None:
        """What vendors use is there, has time enough where they act, and what is not ours is where it was."""
        life = self.life
        for key, installed in life.installed.items():
            left = installed.ends - life.now
            if left > timedelta(0):
                assert installed.credential in life.held[key], f"{life.now}, {key}: {installed} is gone too early"
            if not self._is_silent(key):
                kind = "secret" if isinstance(life.host.tenant.catalog.load(key.vendor), OidcProfile) else "certificate"
                self.least[kind] = min(self.least.get(kind, left), left)
                assert left >= NOTICE, f"{life.now}, {key}: {left} are left of {installed}"
        gone = {credential: key for credential, key in self.foreign.items() if credential not in life.held[key]}
        assert not gone, f"{life.now}: what is not ours was removed: {gone}"

    def _is_silent(self, key: Key) -> bool:
        hand = self.life.hands.get(key)
        return hand is not None and hand.temper == "silent"

    async def end(self, ended: Sequence[tuple[Key, datetime]]) -> None:
        """At the end, after all the years: what was mailed, and what is left; tells everything that is amiss."""
        mails = await self.life.host.world.mailbox()
        amiss = [*self._escalations(mails, ended), *self._reminders(mails), *await self._whole()]
        assert not amiss, "\n".join(amiss)

    def _escalations(self, mails: Sequence[Mapping[str, Any]], ended: Sequence[tuple[Key, datetime]]) -> Iterator[str]:
        """Of each old credential that came to its end unreplaced, both were warned in time, and once."""
        for key, end in ended:
            name = key.display_name(self.life.host.tenant.catalog.load(key.vendor).name)
            told = [mail for mail in mails if mail["subject"].startswith(f"{name}: the old ")]
            warned = [mail for mail in told if f" ends on {end:%Y-%m-%d}" in mail["subject"]]
            if not warned:
                yield f"nobody was warned that what {key} uses ends on {end}"
                continue
            at = datetime.fromisoformat(warned[0]["at"])
            if not end - WARN_BEFORE - HOUR <= at <= end - WARN_BEFORE + 2 * HOUR:
                yield f"people were warned on {at} that what {key} uses ends on {end}"
            if set(warned[0]["to"]) != {"app-owner@contoso.com", "identity-team@contoso.com"}:
                yield f"of the end of {key} were warned {warned[0]['to']}"
            self.seen["escalations"] += 1
            self.seen["escalations that came twice"] += len(warned) - 1

    def _reminders(self, mails: Sequence[Mapping[str, Any]]) -> Iterator[str]:
        """Who was waited for was reminded week by week, and of nothing twice but where a run was killed."""
        sent: dict[str, list[datetime]] = defaultdict(list)
        for mail in mails:
            if mail["subject"].startswith("Reminder: "):
                self.seen["reminders"] += 1
                sent[mail["headers"]["X-Gatehouse-Reference"]].append(datetime.fromisoformat(mail["at"]))
        for reference, times in sent.items():
            for sooner, later in pairwise(times):
                gap = later - sooner
                self.seen["reminders that came twice"] += gap < WEEK - HOUR
                if gap > WEEK + DAY + self.longest_freeze:
                    yield f"{reference}: reminded on {sooner}, then on {later}"
        doubled = self.seen["escalations that came twice"] + self.seen["reminders that came twice"]
        if doubled > len(self.life.host.killed):
            yield f"{doubled} mails came twice, and {len(self.life.host.killed)} runs were killed"

    async def _whole(self) -> list[str]:
        """One application of each key, every credential of ours in the vault, nothing staged."""
        life, dump = self.life, await self.life.host.world.dump()
        names = Counter(application.get("uniqueName") for application in dump["applications"])
        amiss = [f"{names[key.marker]} applications are {key}" for key in life.clients if names[key.marker] != 1]
        for key in life.clients:
            versions = dump["vault"].get(key.secret_name, {"versions": []})["versions"]
            staged = dump["vault"].get(key.staged_secret_name, {"versions": []})["versions"]
            known = {version["tags"]["key-id"] for version in versions if version["enabled"]}
            if isinstance(life.host.tenant.catalog.load(key.vendor), OidcProfile):
                ours = set(life.held[key]) - set(self.foreign)
                if ours != known:
                    amiss.append(f"{key}: credentials {ours}, enabled versions {known}")
                self.seen["secrets at the end"] += len(ours)
            if any(version["enabled"] for version in staged):
                amiss.append(f"{key}: a version is still staged")
        return amiss
