"""The five vendors' own sides, written from their guides. They know only what a hand-off told them."""

import copy
import json
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from sandbox.relying_parties.clicktime import ClickTime
from sandbox.relying_parties.handoff_page import HandoffPage
from sandbox.relying_parties.hellotracks import Hellotracks
from sandbox.relying_parties.ilogon_mha import IlogonMha
from sandbox.relying_parties.inbox import HandoffMail, code_for, newest_handoff
from sandbox.relying_parties.side import SetUpError, VendorSide
from sandbox.relying_parties.smarttrace import SmartTrace
from sandbox.relying_parties.thoropass import Thoropass
from sandbox.tenant import SandboxTenant
from sandbox.user_agent import Page, UserAgent
from sandbox.wire import UnreachableError, Wire


@dataclass
class Progress:
    """How far one hand-off has come at its addressee."""

    page: str
    told: dict[str, str] = field(default_factory=dict, repr=False)
    """What was collected, kept because the page shows it once."""
    activated: bool = False
    configured: bool = False
    acknowledged: bool = False
    reason: str | None = None

    def to_json(self) -> dict[str, Any]:
        """The control plane's answer."""
        return {"configured": self.configured, "acknowledged": self.acknowledged, "reason": self.reason}


class RelyingParties:
    """Every vendor's side, reached by slug."""

    def __init__(self, tenant: SandboxTenant, tls: ssl.SSLContext) -> None:
        self._tenant = tenant
        self._wire = Wire(tls)
        authority = tenant.urls.authority
        self.clicktime = ClickTime(tenant.clock)
        self.sides: dict[str, VendorSide[Any]] = {
            "clicktime": self.clicktime,
            "hellotracks": Hellotracks(self._wire, authority),
            "ilogon_mha": IlogonMha(self._wire, authority),
            "smarttrace": SmartTrace(self._wire, authority),
            "thoropass": Thoropass(self._wire, tenant.clock),
        }
        self._progress: dict[tuple[str, str], Progress] = {}

    def reset(self) -> None:
        """Forget every hand-off and every customer."""
        self._progress.clear()
        for side in self.sides.values():
            side.reset()

    def kept(self) -> Any:
        """Return a copy of every side's customers and choices, and of how far each hand-off has come."""
        return self._copied((self._progress, {slug: vars(side) for slug, side in self.sides.items()}))

    def bring_back(self, kept: Any) -> None:
        """Let every side be as it was then."""
        self._progress, sides = self._copied(kept)
        for slug, known in sides.items():
            vars(self.sides[slug]).update(known)

    def _copied(self, kept: Any) -> Any:
        # Their way to the network and their clock are this sandbox's.
        shared = (self._wire, self._tenant.clock)
        return copy.deepcopy(kept, {id(one): one for one in shared})

    async def collect(self, vendor: str, instance: str) -> dict[str, Any]:
        """Read the newest hand-off, collect, set up, acknowledge; says in a sentence what was missing."""
        side = self.sides.get(vendor)
        if side is None:
            return Progress("", reason=self._unknown(vendor)).to_json()
        mail = newest_handoff(self._tenant.mailbox, side.name, instance, side.contact)
        if mail is None:
            reader = side.contact or "our own administrator"
            return Progress("", reason=f"No hand-off for {vendor}/{instance} has reached {reader}.").to_json()
        progress = self._progress.get((vendor, instance))
        if progress is None or progress.page != mail.page:
            progress = self._progress[vendor, instance] = Progress(mail.page)
        progress.reason = None
        if not progress.acknowledged:
            try:
                await self._follow(side, instance, mail, progress)
            except (SetUpError, UnreachableError) as problem:
                progress.reason = str(problem)
        return progress.to_json()

    async def sign_in(self, vendor: str, instance: str, user: str) -> dict[str, Any]:
        """Sign a person in at a vendor as their browser does; the reason is the refusing side's own sentence."""
        side = self.sides.get(vendor)
        if side is None:
            return _refused(self._unknown(vendor))
        if instance not in side.customers:
            return _refused(f"{side.name} has not been set up for {instance}: collect its hand-off first.")
        start = side.start_url(instance) or self._tile(self.clicktime.entity_id)
        if start is None:
            return _refused(f"My Apps has no tile for {side.name}.")
        try:
            return _outcome(await self.browser(user).open(start))
        except UnreachableError as problem:
            return _refused(str(problem))

    def browser(self, user: str) -> UserAgent:
        """A browser before which this person sits."""
        sites = {side.host: side for side in self.sides.values()}
        return UserAgent(self._wire, self._tenant.urls.authority, sites, user)

    async def _follow(self, side: VendorSide[Any], instance: str, mail: HandoffMail, progress: Progress) -> None:
        page = HandoffPage(self._wire, mail.page)
        shown = await page.look()
        if shown.status != 200:
            raise SetUpError(f"The hand-off's page answered {shown.status}: {shown.heading}".rstrip(": "))
        code = code_for(self._tenant.mailbox, side.name, instance, mail.reference)
        if code is None:
            raise SetUpError(f"No mail holds the code of {mail.reference}.")
        told = {**mail.values, **shown.values, **progress.told}
        if "collect" in shown.actions and any(not told.get(label.casefold()) for label in side.fields):
            collected = await page.press("collect", code)
            if collected.status != 200:
                raise SetUpError(f"Collecting was answered {collected.status}: {collected.heading}".rstrip(": "))
            progress.told = dict(collected.values)
            told |= collected.values
        if "activate" in shown.actions and not progress.activated:
            await self._activate(side, instance, page, code, told)
            progress.activated = progress.configured = True
            shown = await page.look()
        elif not progress.activated:
            await side.set_up(instance, told)
            progress.configured = True
        if progress.activated and "acknowledge" not in shown.actions:
            raise SetUpError("The new certificate was asked for; what is told of it comes by the next mail.")
        acknowledged = await page.press("acknowledge", code)
        if acknowledged.status != 200:
            raise SetUpError(f"Acknowledging was answered {acknowledged.status}: {acknowledged.heading}".rstrip(": "))
        progress.acknowledged = True

    async def _activate(
        self, side: VendorSide[Any], instance: str, page: HandoffPage, code: str, told: Mapping[str, str]
    ) -> None:
        """Press "activate now" with the form open, then save it, or have the metadata read until it changes."""
        pressed = await page.press("activate", code)
        if pressed.status != 200:
            raise SetUpError(f"Activating was answered {pressed.status}: {pressed.heading}".rstrip(": "))
        if all(told.get(label.casefold()) for label in side.fields):
            await side.set_up(instance, told)
        side.expect_change(instance)

    def choose(self, vendor: str, slots: int | None, poll_hours: float | None) -> bool:
        """Let a vendor keep so many secrets or certificates, and read metadata so often; False where there is none."""
        side = self.sides.get(vendor)
        if side is None:
            return False
        side.slots = side.most_slots if slots is None else slots
        side.poll_hours = poll_hours
        return True

    def _tile(self, identifier: str) -> str | None:
        # A tile is the tenant's: the person sees it in My Apps, the vendor knows nothing of it.
        tenant_id = self._tenant.directory.tenant_id
        for application in self._tenant.directory.applications.values():
            if identifier in (application.get("identifierUris") or []):
                return f"{self._tenant.urls.authority}/api/signin/{application['appId']}?tenantId={tenant_id}"
        return None

    def _unknown(self, vendor: str) -> str:
        return f"The sandbox has no vendor {vendor}; it has {', '.join(self.sides)}."


def _outcome(page: Page) -> dict[str, Any]:
    if page.site is not None and page.reply.content_type == "application/json":
        body: Mapping[str, Any] = json.loads(page.reply.text)
        return dict(body)
    return _refused(page.refusal or f"The browser came to rest at {page.url.partition('?')[0]} ({page.reply.status}).")


def _refused(reason: str) -> dict[str, Any]:
    return {"signed_in": False, "claims": {}, "reason": reason}
