"""The years themselves: time passes, timers tick, vendors act, late or not at all, and people look after them."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import handlers.intake
import handlers.operations
from sso import rollover
from sso.caller import Caller
from sso.due import notice
from sso.model import Key, OperationId, PasswordCredential, TokenSigningCertificate
from sso.operation import Operation
from sso.rotation import WARN_BEFORE, carries_marker, due_at
from tests.world import request
from tests.years.company import WOKEN, Client, Temper
from tests.years.host import Host
from tests.years.profiles import WAYS, Profiles
from vendors.profile import OidcProfile

HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
PATIENCE = 3  # times that a vendor tries, before its owner asks for a new hand-off
NOBODY = Caller(None, None)


@dataclass
class Hand:
    """What one vendor is asked and has not done yet."""

    operation: OperationId
    temper: Temper
    acts: datetime
    tries: int = 0


@dataclass(frozen=True)
class Installed:
    """The credential that a vendor's side uses, or is told to use."""

    credential: str  # key ID or thumbprint
    ends: datetime


@dataclass
class Life:
    """A company's applications, from one hour to the next."""

    host: Host
    profiles: Profiles
    clients: dict[Key, Client] = field(default_factory=dict)
    hands: dict[Key, Hand] = field(default_factory=dict)
    deadlines: set[datetime] = field(default_factory=set)
    installed: dict[Key, Installed] = field(default_factory=dict)
    """What each vendor's side uses."""
    ended: list[tuple[Key, datetime]] = field(default_factory=list)
    """What vendors used to its natural end, because they were silent."""
    held: dict[Key, dict[str, PasswordCredential | TokenSigningCertificate]] = field(default_factory=dict)
    """Every credential of each application, ours and others', as it is now."""
    acting: Key | None = None
    """Whose vendor is acting right now."""
    reading: set[Key] = field(default_factory=set)
    """Whose vendor has pressed "activate now" and reads the metadata until it acknowledges what that came to."""
    turned: set[OperationId] = field(default_factory=set)
    """The rollovers after which the profile was changed."""
    turns: Counter[Key] = field(default_factory=Counter)
    """How many hand-offs of each application were put to its vendor."""

    @property
    def now(self) -> datetime:
        """The time of app and tenant."""
        return self.host.now

    def eventful(self, day: datetime) -> bool:
        """Whether some deadline falls on a day or in the hour before it, or a vendor acts then."""
        acts = (hand.acts for hand in self.hands.values())
        return any(day - HOUR <= moment < day + DAY for moment in (*self.deadlines, *acts))

    async def hour(self, now: datetime) -> None:
        """The timers tick, what they bring up is carried out, and whoever has something to do does it."""
        await self.host.set_clock(now)
        self.host.touched.clear()
        await self.host.tick()
        for key, hand in list(self.hands.items()):
            if hand.acts <= self.now:
                await self.act(key, hand)
        if self.host.moved:
            await self.look_ahead()

    async def onboard(self, client: Client) -> None:
        """An application is onboarded, and its vendor set up at once."""
        key = client.key
        body = request(key.vendor, instance=key.instance, parameters=client.parameters)
        operation = await handlers.intake.accept(self.host.tenant, body, NOBODY, self.now)
        self.clients[key] = client
        await self.host.settle()
        self.hands[key] = Hand(operation.id, "prompt", self.now)
        for _ in range(PATIENCE):
            if key in self.hands:
                await self.act(key, self.hands[key])
        assert key not in self.hands, f"{key} was onboarded, and its vendor is not set up"

    async def act(self, key: Key, hand: Hand) -> None:
        """The vendor's side does what its newest hand-off says; where that fails, again, then by a new hand-off."""
        self.host.touched.add(key)
        self.host.moved = True
        self.acting = key
        if key in self.installed and self.installed[key].ends <= self.now and hand.tries == 0:
            self.ended.append((key, self.installed[key].ends))
        collected = await self.host.world.collect(key.vendor, key.instance)
        hand.tries += 1
        if collected["configured"] and self.profiles.rollover(key.vendor) == "metadata_single":
            self.reading.add(key)
        if collected["acknowledged"]:
            self.host.done["acknowledged"] += 1
        elif hand.tries % PATIENCE == 0:
            self.host.done["handed off again"] += 1
            again = await handlers.intake.hand_off_again(self.host.tenant, key, NOBODY, self.now)
            self.hands[key] = Hand(again.id, hand.temper, self.now + HOUR, hand.tries)
        else:
            hand.acts = self.now + HOUR
        await self.host.settle()
        self.acting = None
        if collected["acknowledged"]:
            del self.hands[key]
            self.reading.discard(key)
            await self._installs(key)

    async def _installs(self, key: Key) -> None:
        """Note what the vendor's side uses: what the page told that was acknowledged."""
        await self._look_at_credentials()
        page = next(page for page in await self.host.tenant.ledger.pages(key) if page.state == "acknowledged")
        assert page.credential is not None
        self.installed[key] = Installed(page.credential, self.held[key][page.credential].ends)

    async def look_ahead(self) -> None:
        """See what is waited for now, whom that is put to, and when something falls due."""
        self.host.moved = False
        self.deadlines.clear()
        await self._look_at_credentials()
        newest: dict[Key, Operation] = {}
        unfinished: set[Key] = set()
        async for operation in self.host.tenant.ledger.unfinished():
            assert operation.key is not None
            waiting = operation.waiting_for
            unfinished.add(operation.key)
            if waiting and waiting.what == "release":
                self.host.done["released"] += 1
                await handlers.operations.release(self.host.tenant, operation.id)
                self.host.moved = True
            elif waiting and waiting.what == "acknowledgement":
                newest.setdefault(operation.key, operation)  # its reminders come with the day's first tick
            else:
                self.deadlines.add(operation.not_before)
        self.hands = {key: hand for key, hand in self.hands.items() if key in newest}
        for key, operation in newest.items():
            if key not in self.hands or self.hands[key].operation != operation.id:
                self.hands[key] = self._put_to(key, operation)
        for key in self.hands.keys() & self.installed.keys():  # what nobody has replaced yet
            self.deadlines |= {self.installed[key].ends, self.installed[key].ends - WARN_BEFORE}
        for vendor in WAYS:
            await self._turn(vendor, unfinished)

    def _put_to(self, key: Key, operation: Operation) -> Hand:
        """Put a hand-off to a vendor, which acts in its own time."""
        self.turns[key] += 1
        temper = self.host.chance.temper(key, self.turns[key])
        delay = self.host.chance.delay(key, self.turns[key])
        begins = max(self.now, self.installed[key].ends + WOKEN) if temper == "silent" else self.now
        self.host.done[temper] += 1
        return Hand(operation.id, temper, begins + delay)

    async def _look_at_credentials(self) -> None:
        tenant = self.host.tenant
        principals = await tenant.graph.managed_service_principals()
        for key, application in await tenant.graph.managed():
            profile = tenant.catalog.load(key.vendor)
            found = principals.get(application.client_id)
            passwords: dict[str, PasswordCredential] = {each.key_id: each for each in application.passwords}
            certificates = found.certificates if found else ()
            self.held[key] = {**passwords, **{each.thumbprint: each for each in certificates}}
            if isinstance(profile, OidcProfile):
                ours = [each for each in application.passwords if carries_marker(each.display_name, key)]
                self._note_due(ours, notice(profile))
            elif found and (signing := rollover.active(found)):
                self._note_due([signing], notice(profile))
                reads = self.profiles.rollover(key.vendor) == "metadata" or key in self.reading
                if reads and key in self.installed:
                    self.installed[key] = Installed(signing.thumbprint, signing.ends)  # it has read it by itself

    def _note_due(self, ours: Sequence[PasswordCredential | TokenSigningCertificate], renew_before: timedelta) -> None:
        self.deadlines |= {due_at(max(ours, key=lambda each: each.starts), renew_before)} if ours else set()

    async def _turn(self, vendor: str, unfinished: set[Key]) -> None:
        """Once a rollover is through, the vendor takes the next certificate in its other way: its profile changes."""
        key = next((key for key in self.clients if key.vendor == vendor), None)
        if key is None or key in unfinished:
            return
        last = await self.host.tenant.ledger.newest_of(key, "rotation")
        if last and last.id not in self.turned:
            assert last.state == "done", f"{key}: {last.id} has {last.state}: {last.reasons}"
            self.turned.add(last.id)
            await self.host.deploy(await self.profiles.turn(self.host.world, vendor))
