"""Months of a company on the sandbox's clock: nobody's sign-in is cut, whatever fails and whoever is slow."""

import os
import ssl
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta

import aiohttp
import pytest
from azure.identity.aio import DefaultAzureCredential
from azure.keyvault.secrets.aio import SecretClient
from azure.storage.queue.aio import QueueServiceClient

from clients.settings import read_settings
from clients.tenant import Tenant
from sandbox.up import running_sandbox
from sso.model import Key
from tests.kills.ground import SEED, SOAK
from tests.numbers import say
from tests.world import World
from tests.years.company import CALM, Chance, clients
from tests.years.desk import page_desk
from tests.years.host import Host
from tests.years.life import DAY, HOUR, Life
from tests.years.profiles import Profiles
from tests.years.watch import Watch

RATE = 100.0  # what the app waits is a hundredth; the time of day is set hour by hour
APPLICATIONS = int(os.environ.get("GATEHOUSE_YEARS_APPLICATIONS", "200" if SOAK else "12"))
MONTHS = int(os.environ.get("GATEHOUSE_YEARS_MONTHS", "36" if SOAK else "14"))
MONTH = timedelta(days=30.4375)
CHANGED = {"GATEHOUSE_FREEZE": "12-20..01-05", "GATEHOUSE_RETENTION_DAYS": "90"}
FROZEN = timedelta(days=17)
WAVE = 100  # applications that are onboarded on one day
SHOWN = 40  # faults and kills that a failure lists: the last ones
# Certificates of three years would be renewed once in all this time; of 195 days, on the same days as the secrets.
POLICY = {
    "displayName": "Signing certificates live for 195 days",
    "isEnabled": True,
    "applicationRestrictions": {
        "passwordCredentials": [],
        "keyCredentials": [{"restrictionType": "asymmetricKeyLifetime", "state": "enabled", "maxLifetime": "P195D"}],
    },
}


@pytest.fixture
async def life(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Life]:
    """A company with its tenant; the app's stories are called from here, with the time of its clock."""
    log, folder = tmp_path_factory.mktemp("years") / "log", tmp_path_factory.mktemp("profiles")
    async with AsyncExitStack() as stack:
        state = await stack.enter_async_context(running_sandbox(seed=SEED, host=False, rate=RATE, log=log))
        tls = ssl.create_default_context(cafile=state.env["SSL_CERT_FILE"])
        session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=tls))
        # What is said on the wire is not read here: it is what the stories say, over and over.
        world = World(state, await stack.enter_async_context(session), tls, log)
        for name, value in state.env.items():
            monkeypatch.setenv(name, value)
        # aiohttp, under the Azure SDKs, reads SSL_CERT_FILE only once, when it is imported: long before this sandbox.
        aiohttp.connector._SSL_CONTEXT_VERIFIED.load_verify_locations(state.env["SSL_CERT_FILE"])  # noqa: SLF001
        await world.control("PUT", "/objects/app_management_policies/default", POLICY)
        profiles = Profiles(folder)
        settings = read_settings({**state.env, **CHANGED})
        tenant = Tenant.connect(settings, await profiles.open(world))
        queues = await stack.enter_async_context(QueueServiceClient.from_connection_string(state.storage))
        # The same days of the year in every run, so that the freeze calendar means the same.
        now = datetime(datetime.now(UTC).year + 1, 1, 10, 9, tzinfo=UTC)
        host = Host(world, tenant, queues, Chance(SEED), now)
        stack.push_async_callback(_close, host)
        await stack.enter_async_context(page_desk(state, lambda: host.tenant, lambda: host.now))
        yield Life(host, profiles)


async def _close(host: Host) -> None:
    await host.tenant.close()


async def test_years_pass(life: Life) -> None:
    """At every sampled hour people sign in, the vault gives what is proved, and nothing foreign is gone."""
    began, begins = time.monotonic(), life.now
    async with (
        DefaultAzureCredential(require_envvar=True) as credential,
        SecretClient(life.host.world.state.vault, credential) as reader,
    ):
        watch = Watch(life, reader, FROZEN)
        try:
            await watch.end(await _live(watch, begins, begins + MONTHS * MONTH))
        except AssertionError as error:
            faults = [f"{hit['at']} {hit['fault']} {hit['operation']}" for hit in await life.host.take_stock()]
            told = "\n".join([str(error), f"GATEHOUSE_SEED={SEED} repeats it. The last faults and kills before:"])
            raise AssertionError("\n".join([told, *faults[-SHOWN:], *life.host.killed[-SHOWN:]])) from error
        finally:
            say(await _numbers(watch, life.now - begins, time.monotonic() - began))


async def _live(watch: Watch, begins: datetime, ends: datetime) -> list[tuple[Key, datetime]]:
    """Onboard everybody and let the days pass; returns what came to its natural end unreplaced."""
    life = watch.life
    for number, client in enumerate(clients(APPLICATIONS)):
        await life.host.set_clock(begins + number // WAVE * DAY)
        await life.onboard(client)
    await watch.make_foreign()
    life.host.at_kill = watch.at_kill
    day = begins.replace(hour=0)
    number = 1 + (APPLICATIONS - 1) // WAVE
    while day + number * DAY < ends:
        await _day(watch, number, day + number * DAY)
        number += 1
    await life.look_ahead()
    silent = ((key, life.installed[key].ends) for key, hand in life.hands.items() if hand.temper == "silent")
    return [*life.ended, *((key, end) for key, end in silent if end < life.now)]


async def _day(watch: Watch, number: int, day: datetime) -> None:
    """One day, hour by hour where something falls due or a fault is drawn, else once."""
    life, world = watch.life, watch.life.host.world
    watch.weather = life.host.chance.weather(number)
    hours = range(24) if watch.weather or life.eventful(day) else range(6, 7)
    life.host.done["skipped"] += 24 - len(hours)
    if watch.weather:
        await world.control("PUT", "/switches", watch.weather)
    for hour in hours:
        await life.hour(day + hour * HOUR)
        await watch.hour()
    if watch.weather:
        await world.control("PUT", "/switches", CALM)
        watch.weather = None
    if day.day == 1:  # each night, in a deployment
        await life.host.night()
    await world.control("DELETE", "/calls")


async def _numbers(watch: Watch, lived: timedelta, seconds: float) -> str:
    """What this run has come to."""
    host, seen, steps = watch.life.host, watch.seen, watch.life.host.renewed
    least = ", ".join(f"{kind} {left // DAY}" for kind, left in watch.least.items())
    return (
        f"years (seed {SEED}): {len(watch.life.clients)} applications, {lived / MONTH:.1f} months, {host.done['ticks']}"
        f" ticks, {host.done['skipped']} hours skipped; {steps['promote_secret']} secrets renewed,"
        f" {steps['activate_certificate']} certificates rolled over, {steps['retire_secret']} and"
        f" {steps['retire_certificate']} retired, {host.done['released']} times released,"
        f" {host.done['rows forgotten']} rows forgotten; vendors {host.done['prompt']} times prompt,"
        f" {host.done['late']} late, {host.done['silent']} silent; {seen['reminders']} reminders,"
        f" {seen['escalations']} escalations; {seen['sign-ins']} sign-ins, {seen['reads of the vault']} reads of the"
        f" vault; {len(await host.take_stock())} calls met faults, {len(host.killed)} of {host.done['runs']} runs"
        f" killed; least days left: {least} ({seconds:.0f} s)"
    )
