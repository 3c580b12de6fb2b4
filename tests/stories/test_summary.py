"""The nightly summary in a running tenant: mailed once, whatever runs twice or dies, from pages alone."""

import asyncio
from datetime import timedelta
from typing import Any

import handlers.operations
import handlers.summary
from sso.errors import Reason
from sso.model import ClientId, Key, KeyId, Secret, key_of
from sso.operation import fail
from tests.stories.administrator import graph
from tests.stories.hostless import Hostless
from tests.world import World


async def summaries(world: World) -> list[dict[str, Any]]:
    """The summaries that arrived."""
    return [mail for mail in await world.mailbox() if mail["subject"].startswith("Gatehouse on ")]


async def onboard(hostless: Hostless, vendor: str, **changes: Any) -> Any:
    """Onboard a vendor until its acknowledgement is waited for."""
    operation = await hostless.accept(vendor, assignments=None, **changes)
    await hostless.run_all()
    return operation


async def test_the_operators_read_what_waits_failed_and_is_not_ours(hostless: Hostless) -> None:
    """One mail to the operators tells of a wait, a failure, a secret made by hand, a lost value and kept messages."""
    waiting = await onboard(hostless, "smarttrace")
    failed = await onboard(hostless, "hellotracks")
    ledger, tenant = hostless.tenant.ledger, hostless.tenant
    found = await hostless.operation(failed.id)
    await ledger.replace_operation(fail(found, (Reason("tenant", "The directory is full."),), hostless.now))
    await handlers.operations.give_up(tenant, "rotations", b"not ours", "the message is not JSON", 5, hostless.now)
    application = await hostless.world.application("smarttrace")
    for name in ("made by hand", "gatehouse-smarttrace-default 2026-01-01"):
        credential = {"passwordCredential": {"displayName": name}}
        await graph(hostless.world, "POST", f"/applications/{application['id']}/addPassword", credential)
    assert await handlers.summary.send(tenant, hostless.now)
    [mail] = await summaries(hostless.world)
    assert mail["to"] == [tenant.settings.operators]
    lines = mail["text"].replace("\r\n", "\n").split("\n")
    assert {"Applications: 2", "Failed since yesterday: 1", "Waiting: 1", "Not ours, or without its value: 2"} <= {
        *lines
    }
    for words in (
        f"smarttrace/default: onboarding {waiting.id} waits for the acknowledgement of the owner",
        f"hellotracks/default: onboarding {failed.id} failed on",
        "smarttrace/default: a client secret is not ours (made by hand, ",
        "is not in the vault; the next run removes it.",
        "A message on rotations was kept on",
    ):
        assert [line for line in lines if words in line], words
    for personal in ("app-owner", "helpdesk", "b.simon", "App Owner"):
        assert personal not in mail["text"] + mail["html"]


async def test_two_timers_mail_one_summary_a_night(hostless: Hostless) -> None:
    """Runs at once and runs repeated mail the operators once; the next night has its own mail."""
    sent = await asyncio.gather(*(handlers.summary.send(hostless.tenant, hostless.now) for _ in range(3)))
    assert sorted(sent) == [False, False, True]
    assert not await handlers.summary.send(hostless.tenant, hostless.now)
    assert not await handlers.summary.resume(hostless.tenant, hostless.now + timedelta(hours=1))
    assert len(await summaries(hostless.world)) == 1
    assert await handlers.summary.send(hostless.tenant, hostless.later(days=1))
    assert len({mail["subject"] for mail in await summaries(hostless.world)}) == 2


async def test_a_summary_whose_run_died_is_mailed_by_the_sweep(hostless: Hostless) -> None:
    """A day that was begun and not mailed goes out once its run must be dead, for two days at most."""
    ledger, day = hostless.tenant.ledger, f"{hostless.now:%Y-%m-%d}"
    dead = handlers.summary.DEAD
    assert await ledger.claim_summary(day, hostless.now, dead)
    assert not await handlers.summary.resume(hostless.tenant, hostless.now)
    hostless.later(minutes=11)
    resumed = await asyncio.gather(*(handlers.summary.resume(hostless.tenant, hostless.now) for _ in range(2)))
    assert sorted(resumed) == [False, True]
    assert not await handlers.summary.resume(hostless.tenant, hostless.later(hours=1))
    [mail] = await summaries(hostless.world)
    assert mail["subject"] == f"Gatehouse on {day}: all quiet"
    assert await ledger.claim_summary(f"{hostless.now:%Y-%m-%d}x", hostless.now, dead)
    assert not await handlers.summary.resume(hostless.tenant, hostless.later(days=3))


async def test_a_summary_that_is_refused_is_mailed_later(hostless: Hostless) -> None:
    """While the mailbox refuses, the night stays open; once it takes mail, the sweep sends it."""
    await hostless.world.control(
        "PUT", "/faults", [{"operation": "users.user.sendMail", "fault": "refuse", "times": None}]
    )
    assert not await handlers.summary.send(hostless.tenant, hostless.now)
    await hostless.world.control("PUT", "/faults", [])
    assert await handlers.summary.resume(hostless.tenant, hostless.later(minutes=11))
    assert len(await summaries(hostless.world)) == 1


async def test_a_vault_that_is_silent_becomes_a_line(hostless: Hostless) -> None:
    """Where the vault refuses, the rest is told all the same, and a line says what could not be looked at."""
    await onboard(hostless, "smarttrace")
    await hostless.world.control("PUT", "/faults", [{"operation": "GET /secrets", "fault": "refuse", "times": None}])
    assert await handlers.summary.send(hostless.tenant, hostless.now)
    [mail] = await summaries(hostless.world)
    assert "Could not be looked at: 1" in mail["text"]
    assert "- Vault: The vault refused to list the secrets" in mail["text"]
    assert "Waiting: 1" in mail["text"]


async def test_reads_are_pages_and_not_one_call_for_each_application(hostless: Hostless) -> None:
    """Thirteen applications, each with a secret whose value the vault holds, cost as many calls as one."""
    await onboard(hostless, "smarttrace")
    tenant, world = hostless.tenant, hostless.world

    async def calls() -> list[str]:
        before = await world.last_call()
        assert not (await handlers.summary.read(tenant, hostless.now)).without_value
        return sorted(f"{call['service']} {call['operation']}" for call in await world.calls(before))

    await calls()  # tokens and the vault's challenge
    one = await calls()
    for number in range(12):
        await _put_with_secret(hostless, key_of("hellotracks", f"i-{number:03d}"), number)
    assert len((await handlers.summary.read(tenant, hostless.now)).applications) == 13
    assert await calls() == one
    assert len([call for call in one if call.startswith(("graph", "vault"))]) == 3


async def _put_with_secret(hostless: Hostless, key: Key, number: int) -> None:
    """Put an application with one secret of ours into the tenant, and its value into the vault."""
    client_id, key_id = (f"{part:08d}-0000-4000-8000-{number:012d}" for part in (1, 2))
    password = {
        "keyId": key_id,
        "displayName": key.marker,
        "startDateTime": f"{hostless.now:%Y-%m-%dT%H:%M:%SZ}",
        "endDateTime": f"{hostless.now + timedelta(days=100):%Y-%m-%dT%H:%M:%SZ}",
    }
    body = {
        "displayName": str(key),
        "appId": client_id,
        "tags": ["gatehouse", key.tag],
        "passwordCredentials": [password],
    }
    await hostless.world.control("PUT", f"/objects/applications/{client_id}", body)
    held = Secret("of a test")
    await hostless.tenant.vault.stage(key, held, key_id=KeyId(key_id), client_id=ClientId(client_id))
