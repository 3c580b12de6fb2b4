"""The demo: the five vendors through the app's HTTP API, a person signed in to each, and what was seen of it.

    start the sandbox -> for each vendor: request -> hand-off collected and acknowledged -> one in, one refused
                      -> one request again, which changes nothing -> one secret and one certificate renewed
                      -> somebody joins, moves and leaves -> the table

It believes nothing but answers: what did not happen is said in a sentence, and then the exit code is 1.
"""

import argparse
import asyncio
import ssl
import sys
import time
from collections.abc import Awaitable, Mapping
from dataclasses import dataclass
from typing import Any

import aiohttp

from sandbox.azurite.installation import InstallationError, cache_folder, installed_azurite
from sandbox.child import ChildError
from sandbox.demo_display import Display, Line
from sandbox.demo_people import People
from sandbox.demo_wire import LOOK, Missing, Wire, eventually
from sandbox.up import State, running_sandbox

REQUESTS: Mapping[str, Mapping[str, Any]] = {
    "clicktime": {},
    "smarttrace": {"parameters": {"InstanceName": "contoso"}},
    "hellotracks": {},
    "thoropass": {},
    "ilogon_mha": {},
}
COMMON: Mapping[str, Any] = {
    "owner": "app-owner@contoso.com",
    "assignments": {"users": ["b.simon@contoso.com"], "groups": ["Sales"]},
    "ticket": "IT-1234",
    "requested_by": "helpdesk@contoso.com",
}
ASSIGNED = "b.simon@contoso.com"
UNASSIGNED = "helpdesk@contoso.com"
REPEATED = "smarttrace"
ROLLED = "thoropass"
WITHIN = 120.0  # seconds for one operation; in the calm sandbox it takes one
CHECKS = 4  # collected, acknowledged, signed in, refused


def main(arguments: argparse.Namespace) -> int:
    """Run the demo; the exit code is 0 only where everything happened."""
    display = Display()
    try:
        return asyncio.run(_run(arguments, display))
    except KeyboardInterrupt:
        display.say("Stopped.")
        return 130
    except (InstallationError, ChildError) as error:
        print(error, file=sys.stderr)
        return 1


async def _run(arguments: argparse.Namespace, display: Display) -> int:
    began = time.monotonic()
    await asyncio.to_thread(installed_azurite)
    display.say(f"Gatehouse demo: contoso.com, a simulated tenant on this machine, seed {arguments.seed}.")
    log = cache_folder() / "demo.log"
    log.unlink(missing_ok=True)
    # The demo shows the way, not the weather: it is calm unless a lag is asked for.
    calm = arguments.lag is None
    async with running_sandbox(
        seed=arguments.seed, calm=calm, lag=arguments.lag, rate=arguments.rate, log=log
    ) as state:
        display.say(
            f"Tenant, vendors, storage and Functions host run after {time.monotonic() - began:.0f} s."
            f" The app answers at {state.host}/api."
        )
        problems = await show(state, display)
        for problem in problems:
            display.say(f"Did not happen: {problem}")
        if problems:
            display.say(f"The log may say why: {log}")
        else:
            display.say(f"Everything happened, in {time.monotonic() - began:.0f} s.")
        await _keep(arguments, state, display)
    return 1 if problems else 0


async def _keep(arguments: argparse.Namespace, state: State, display: Display) -> None:
    if not arguments.keep:
        display.say("The sandbox ends here. To look around: make demo ARGS=--keep. To try it yourself: make up.")
        return
    display.say(
        f"Kept running until Ctrl+C. Calls: {state.control}/calls, mails: {state.control}/mailbox."
        f" Certificate authority: {state.env['SSL_CERT_FILE']}."
    )
    await asyncio.Event().wait()


async def show(state: State, display: Display) -> list[str]:
    """Onboard the five and repeat one; returns what did not happen, a sentence each."""
    tls = ssl.create_default_context(cafile=state.env["SSL_CERT_FILE"])
    problems: list[str] = []
    lines: list[Line] = []
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=tls)) as session:
        wire = Wire(session, state)
        with display.bars(list(REQUESTS)):
            for vendor in REQUESTS:
                line = Line(vendor)
                lines.append(line)
                problems += await _guarded(vendor, _Vendor(wire, display, vendor, line).through(), display)
            problems += await _guarded(REPEATED, _repeat(wire, display), display)
            problems += await _guarded(REPEATED, _Vendor(wire, display, REPEATED, Line(REPEATED)).rotates(), display)
            problems += await _guarded(ROLLED, _Vendor(wire, display, ROLLED, Line(ROLLED)).rolls_over(), display)
            problems += await _guarded("people", People(wire, display).come_and_go(), display)
        display.table(lines, f"Each operation: {state.host}/api/operations/{{operation}}")
    return problems


async def _guarded(vendor: str, story: Awaitable[None], display: Display) -> list[str]:
    """Run one story; what it missed is returned, so that the next vendor has its turn."""
    try:
        await story
    except Missing as missing:
        display.step(vendor, "missing", str(missing), good=False)
        return [f"{vendor}: {missing}"]
    except (aiohttp.ClientError, TimeoutError) as error:
        display.step(vendor, "missing", f"no answer ({type(error).__name__})", good=False)
        return [f"{vendor}: no answer ({type(error).__name__})"]
    return []


@dataclass
class _Vendor:
    """One vendor's way from the request to a signed-in person."""

    wire: Wire
    display: Display
    slug: str
    line: Line

    async def through(self) -> None:
        about = await self.wire.api("GET", f"/vendors/{self.slug}")
        self.line.name, self.line.protocol = about["name"], about["protocol"].upper()
        self.display.begin(self.slug, f"{about['name']} ({about['protocol'].upper()})")
        accepted = await self.wire.api("POST", "/onboardings", {"vendor": self.slug, **COMMON, **REQUESTS[self.slug]})
        operation = accepted["operation"]
        self.line.operation, self.line.link = operation, f"{self.wire.state.host}/api/operations/{operation}"
        await _follow(self.wire, self.display, self.slug, operation, checks=CHECKS)
        await self._handed_over(about)
        await self._set_up(operation)
        await self._signs_in()
        await self._refuses()

    async def rotates(self) -> None:
        """Renew the client secret while people sign in; raises `Missing` where anybody is kept out."""
        name = (await self.wire.api("GET", f"/vendors/{self.slug}"))["name"]
        self.display.begin("", f"A new client secret for {name}, without an outage")
        application = f"/applications/{self.slug}/default"
        accepted = await self.wire.api("POST", f"{application}/rotations", {"reason": "shown in the demo"})
        await _follow(self.wire, self.display, "", accepted["operation"])
        await self._signs_in("", "with the old secret: the vendor has not changed it yet.")
        collected = await self.wire.control("POST", "/collect", {"vendor": self.slug, "instance": "default"})
        if not collected["acknowledged"]:
            raise Missing(f"the new secret was not acknowledged: {collected['reason']}")
        self.display.step("", "confirmed", "The vendor's side has the new secret, and says so.")
        await self._signs_in("", "with the new secret.")
        held = (await self.wire.api("GET", application))["credentials"]
        if sorted(credential["state"] for credential in held) != ["current", "previous"]:
            raise Missing("the old secret was not kept beside the new one.")
        self.display.step("", "kept", "The old secret works until the overlap is over; then it is removed.")

    async def rolls_over(self) -> None:
        """Renew a certificate with a vendor that reads metadata; raises `Missing` where anybody is kept out."""
        name = (await self.wire.api("GET", f"/vendors/{self.slug}"))["name"]
        self.display.begin("", f"A new signing certificate for {name}, when {name} says so")
        application = f"/applications/{self.slug}/default"
        [old] = (await self.wire.api("GET", application))["credentials"]
        accepted = await self.wire.api("POST", f"{application}/rotations", {"reason": "shown in the demo"})
        await _follow(self.wire, self.display, "", accepted["operation"])
        await self._signs_in("", "with the certificate so far: nothing was added to the metadata yet.")
        who, asked = {"vendor": self.slug, "instance": "default"}, []

        async def confirmed() -> bool:
            asked.append(await self.wire.control("POST", "/collect", who))
            return bool(asked[-1]["acknowledged"])

        if not await eventually(confirmed):
            raise Missing(f"the new certificate was not acknowledged: {asked[-1]['reason']}")
        self.display.step("", "activated", f"{name} pressed 'Activate now', read the metadata again and confirmed.")
        await self._signs_in("", "with the new certificate.")
        held = (await self.wire.api("GET", application))["credentials"]
        if [credential["state"] for credential in held] != ["active"] or held[0]["id"] == old["id"]:
            raise Missing("the new certificate does not stand alone.")
        self.display.step("", "removed", "The old certificate is gone from the metadata, with both halves of its key.")

    async def _handed_over(self, about: Mapping[str, Any]) -> None:
        async def delivered() -> list[Any] | None:
            # Link and code are two mails, and a mail that was sent has not always arrived.
            mails = [mail for mail in await self.wire.control("GET", "/mailbox") if _concerns(mail, about["name"])]
            return mails if len(mails) > 1 else None

        told = [mail for mail in await eventually(delivered) or [] if _holds_page(mail)]
        if len(told) != 1:
            raise Missing(f"one mail with the hand-off was expected, {len(told)} were sent.")
        self.line.handed_over = f"{', '.join(about['handoff']['deliver'].values())} to {', '.join(told[0]['to'])}"

    async def _set_up(self, operation: str) -> None:
        who = {"vendor": self.slug, "instance": "default"}
        collected = await self.wire.control("POST", "/collect", who)
        if not collected["configured"]:
            raise Missing(f"the vendor's side could not be set up from the hand-off: {collected['reason']}")
        self.display.step(self.slug, "set up", f"With the hand-off alone: {self.line.handed_over}.")
        if not collected["acknowledged"]:
            raise Missing(f"the hand-off was not acknowledged: {collected['reason']}")
        found = await self.wire.api("GET", f"/operations/{operation}")
        if found["state"] != "done":
            raise Missing(f"the acknowledged operation is {found['state']}, not done.")
        self.display.step(self.slug, "confirmed", "The hand-off is acknowledged and the operation is done.")

    async def _signs_in(self, row: str | None = None, how: str = "who is assigned.") -> None:
        reasons = []

        async def inside() -> bool:
            person = await self._sign_in(ASSIGNED)
            reasons.append(person["reason"])
            return bool(person["signed_in"])

        if not await eventually(inside):
            raise Missing(f"{ASSIGNED} could not sign in: {reasons[-1]}")
        self.line.signed_in = ASSIGNED.partition("@")[0]
        self.display.step(self.slug if row is None else row, "signed in", f"{ASSIGNED}, {how}")

    async def _refuses(self) -> None:
        stranger = await self._sign_in(UNASSIGNED)
        if stranger["signed_in"]:
            raise Missing(f"{UNASSIGNED} is not assigned and was let in.")
        if "AADSTS50105" not in stranger["reason"]:
            raise Missing(
                f"{UNASSIGNED} was refused for another reason than a missing assignment: {stranger['reason']}"
            )
        self.line.refused = UNASSIGNED.partition("@")[0]
        self.display.step(self.slug, "refused", f"{UNASSIGNED}, who is not (AADSTS50105).")

    async def _sign_in(self, user: str) -> Any:
        who = {"vendor": self.slug, "instance": "default", "user": user}
        return await self.wire.control("POST", "/sign-in", who)


async def _follow(wire: Wire, display: Display, slug: str, operation: str, *, checks: int = 0) -> Mapping[str, Any]:
    """Print each step when it is done, until the operation rests; raises `Missing` where it fails or hangs."""
    printed = 0
    async with asyncio.timeout(WITHIN):
        while True:
            found: Mapping[str, Any] = await wire.api("GET", f"/operations/{operation}")
            done = [step for step in found["steps"] if step["state"] == "done"]
            display.plan(slug, len(found["steps"]) + checks)
            for step in done[printed:]:
                display.step(slug, "done", step["sentence"])
            printed = len(done)
            if found["state"] == "failed":
                raise Missing(" ".join(reason["detail"] for reason in found["reasons"]))
            if found["state"] == "done" or (found["waiting_for"] or {}).get("what") == "acknowledgement":
                return found
            await asyncio.sleep(LOOK)


async def _repeat(wire: Wire, display: Display) -> None:
    """Send one request again; raises `Missing` where that plans, writes or mails anything."""
    display.begin("", f"The same request for {(await wire.api('GET', f'/vendors/{REPEATED}'))['name']} again")
    body = {"vendor": REPEATED, **COMMON, **REQUESTS[REPEATED]}
    mails, since = len(await wire.control("GET", "/mailbox")), await wire.last_call()
    planned = await wire.api("POST", "/onboardings?mode=plan", body)
    if planned["steps"]:
        raise Missing(f"the repeated request plans: {' '.join(step['sentence'] for step in planned['steps'])}")
    display.step("", "planned", "Nothing: the plan is empty.")
    accepted = await wire.api("POST", "/onboardings", body)
    await _follow(wire, display, "", accepted["operation"])
    if written := await wire.writes(since):
        raise Missing(f"the repeated request wrote: {', '.join(written)}.")
    display.step("", "written", "Nothing, neither to Graph nor to the vault.")
    if more := len(await wire.control("GET", "/mailbox")) - mails:
        raise Missing(f"the repeated request sent {more} mails.")
    display.step("", "mailed", "Nothing.")


def _concerns(mail: Mapping[str, Any], name: str) -> bool:
    return f"Vendor: {name}" in [line.strip() for line in mail["text"].splitlines()]


def _holds_page(mail: Mapping[str, Any]) -> bool:
    return any(line.startswith("Page:") for line in mail["text"].splitlines())
