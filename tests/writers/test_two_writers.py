"""One request that is delivered many times, to two hosts at work on the same queues, makes one of everything."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.kills.end_state import EndState
from tests.kills.ground import SETTLE, SOAK, Ground
from tests.numbers import say
from tests.stories.mails import codes, handoffs
from tests.world import request

INSTANTIATE = "applicationTemplates.applicationTemplate.instantiate"
VENDORS = ("clicktime", "hellotracks", "smarttrace")
DELIVERIES = (2, 5, 20) if SOAK else (5,)
EVERY = [(vendor, deliveries, at_once) for vendor in VENDORS for deliveries in (2, 5, 20) for at_once in (False, True)]
# All of one vendor and one of each other, where not everything is run.
CASES = [case for case in EVERY if SOAK or case[0] == "smarttrace" or case[1:] == (5, True)]


@pytest.mark.parametrize(("vendor", "deliveries", "at_once"), CASES)
async def test_request_delivered_often_makes_one_of_everything(
    two_hosts: Ground, vendor: str, deliveries: int, at_once: bool
) -> None:
    """One application, one credential with one current version, one link and one code, whoever carries out what."""
    ground = two_hosts
    before = await ground.dump()
    operations = await _deliver(ground, request(vendor), deliveries, at_once=at_once)
    assert len(operations) == deliveries  # without ticket or header each is an operation of its own
    await _is_one_of_everything(ground, before, vendor)
    say(f"two writers: {vendor} delivered {deliveries} times {'at once' if at_once else 'in sequence'}: one of each")


@pytest.mark.parametrize("header", [False, True], ids=["ticket", "Idempotency-Key"])
@pytest.mark.parametrize("deliveries", DELIVERIES)
async def test_repeat_that_says_so_is_one_operation(two_hosts: Ground, deliveries: int, header: bool) -> None:
    """Delivered in sequence under one ticket or one header, a request is one operation on both hosts."""
    ground = two_hosts
    before = await ground.dump()
    body = request("smarttrace") if header else request("smarttrace", ticket="IT-1234")
    headers = {"Idempotency-Key": "the same"} if header else {}
    assert len(await _deliver(ground, body, deliveries, at_once=False, headers=headers)) == 1
    await _is_one_of_everything(ground, before, "smarttrace")


@pytest.mark.parametrize("deliveries", DELIVERIES)
async def test_repeats_at_once_under_one_ticket_make_one_of_everything(two_hosts: Ground, deliveries: int) -> None:
    """Where repeats of a ticket overtake one another on two hosts, there is still one of everything."""
    ground = two_hosts
    before = await ground.dump()
    await _deliver(ground, request("smarttrace", ticket="IT-1234"), deliveries, at_once=True)
    await _is_one_of_everything(ground, before, "smarttrace")


async def test_step_that_outlasts_a_lease_keeps_its_key(two_hosts: Ground) -> None:
    """While one host waits for an answer longer than a lease lasts, the other host leaves the key alone."""
    ground = two_hosts
    before = await ground.dump()
    await ground.faults([{"operation": INSTANTIATE, "fault": "hold", "when": "after"}])
    await _deliver(ground, request("clicktime"), 2, at_once=False)
    first: list[dict[str, Any]] = []
    async with asyncio.timeout(SETTLE):
        # A second on the wall is more than the margin, which is 5 s of the sandbox's clock.
        while not first or datetime.now(UTC) < datetime.fromisoformat(first[0]["until"]) + timedelta(seconds=1):
            first = first or await ground.rows("lease")
            await asyncio.sleep(0.05)
    (kept,) = await ground.rows("lease")
    assert (kept["holder"], kept["until"] > first[0]["until"]) == (first[0]["holder"], True)
    assert sum(call["operation"] == INSTANTIATE for call in await ground.calls()) == 1
    await ground.faults([])
    await _is_one_of_everything(ground, before, "clicktime")


async def _deliver(ground: Ground, body: Any, times: int, *, at_once: bool, **options: Any) -> set[str]:
    """Send a request to the hosts in turn; returns the operations that were answered."""

    async def one(number: int) -> str:
        host = ground.hosts[number % len(ground.hosts)]
        reply = await ground.call("POST", f"{host.url}/api/onboardings", body, **options)
        assert reply.status == 202, reply.text
        return str(reply.body["operation"])

    if at_once:
        return set(await asyncio.gather(*(one(number) for number in range(times))))
    return {await one(number) for number in range(times)}


async def _is_one_of_everything(ground: Ground, before: dict[str, Any], vendor: str) -> None:
    await ground.come_to_rest(sweep=False, within=120)
    mails = await ground.mailbox()
    end = EndState(before, await ground.dump(), mails, await ground.operations())
    assert end.wrongs() == []
    (application,) = end.new["applications"]
    (principal,) = end.new["service_principals"]
    assert application["uniqueName"] == f"gatehouse-{vendor}-default"
    assert len(end.new["assignments"]) == 2
    if vendor == "clicktime":
        assert len({key["customKeyIdentifier"] for key in principal["keyCredentials"]}) == 1
    else:
        assert len(application["passwordCredentials"]) == 1
        versions = {name: secret["versions"] for name, secret in end.vault.items()}
        assert {name.endswith("-staged"): len(found) for name, found in versions.items()} == {True: 1, False: 1}
    assert (len(handoffs(mails)), len(codes(mails)), len(mails)) == (1, 1, 2)
    collected = await ground.collect(vendor)
    assert collected["acknowledged"], collected["reason"]
    assert (await ground.sign_in(vendor))["signed_in"]
    await ground.come_to_rest(sweep=True, within=60)
    assert {operation["state"] for operation in await ground.operations()} == {"done"}
