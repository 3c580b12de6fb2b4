"""The reviewed profiles, and how they change: both SAML vendors come to take certificates in another way."""

import shutil
from dataclasses import dataclass, field
from pathlib import Path

from tests.world import World
from vendors.catalog import Catalog

REVIEWED = Path(__file__).parents[2] / "vendors"
POLL_HOURS = 24


@dataclass(frozen=True)
class Way:
    """How a vendor takes a new certificate: what its profile says of it, and what its side does."""

    rollover: str
    slots: int
    poll_hours: float | None = None


WAYS = {
    "clicktime": (Way("single", 1), Way("several", 2)),
    "thoropass": (Way("metadata_single", 1), Way("metadata", 2, POLL_HOURS)),
}


@dataclass
class Profiles:
    """A folder of profiles, at first as they are shipped."""

    folder: Path
    turns: dict[str, int] = field(default_factory=lambda: dict.fromkeys(WAYS, 0))

    async def open(self, world: World) -> Catalog:
        """The catalogue of all five, with each SAML vendor's side as its profile says."""
        for source in REVIEWED.glob("*.toml"):
            shutil.copy(source, self.folder)
        for vendor in WAYS:
            await self._write(world, vendor)
        return Catalog(self.folder)

    async def turn(self, world: World, vendor: str) -> Catalog:
        """The catalogue once a vendor takes its next certificate in its other way."""
        self.turns[vendor] += 1
        await self._write(world, vendor)
        return Catalog(self.folder)

    def way(self, vendor: str) -> Way:
        """How a vendor takes certificates now."""
        return WAYS[vendor][self.turns[vendor] % len(WAYS[vendor])]

    def rollover(self, vendor: str) -> str | None:
        """How a vendor that takes certificates takes a new one now."""
        return self.way(vendor).rollover if vendor in WAYS else None

    def cuts_off(self, vendor: str) -> bool:
        """Whether a vendor holds one certificate, so that nobody signs in between pressing a button and its effect."""
        return vendor in WAYS and self.way(vendor).slots == 1

    async def _write(self, world: World, vendor: str) -> None:
        way, shipped = self.way(vendor), (REVIEWED / f"{vendor}.toml").read_text("utf-8")
        told = shipped.replace("[saml.certificate]", f'[saml.certificate]\nrollover = "{way.rollover}"')
        assert told != shipped
        (self.folder / f"{vendor}.toml").write_text(told, "utf-8")
        await world.control("PUT", f"/vendors/{vendor}", {"slots": way.slots, "poll_hours": way.poll_hours})
