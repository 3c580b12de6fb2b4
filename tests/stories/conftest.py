"""The five vendors onboarded once for whoever only looks; a world with one more vendor; a world without a host."""

import shutil
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from sandbox.up import State, running_sandbox
from tests.stories.hostless import Hostless
from tests.world import VENDORS, World, open_world

CLONE = Path(__file__).parents[2]
APP = ("function_app.py", "host.json", "handlers", "clients", "sso", "vendors", "templates")


@dataclass(frozen=True)
class Story:
    """One onboarding as it was seen from outside, until it waits for its acknowledgement."""

    plan: Mapping[str, Any]
    operation: Mapping[str, Any]
    writes: tuple[Mapping[str, Any], ...]
    application: Mapping[str, Any]
    service_principal: Mapping[str, Any]
    grants: tuple[Mapping[str, Any], ...]
    assignments: tuple[Mapping[str, Any], ...]
    vault: Mapping[str, Any]
    mails: tuple[Mapping[str, Any], ...]
    metadata: str
    users: Mapping[str, str]  # principal name to object ID
    urls: State


@pytest.fixture(scope="session")
async def five(running_world: World) -> Mapping[str, Story]:
    """Each of the five, asked for once in a tenant at its seed; nobody has acknowledged anything."""
    stories = {}
    for vendor in VENDORS:
        await running_world.reset()
        stories[vendor] = await _story(running_world, vendor)
    return stories


async def _story(world: World, vendor: str) -> Story:
    plan, before = await world.plan(vendor), await world.last_call()
    operation = await world.onboard(vendor)
    writes = await world.writes(before)
    service_principal, dump = await world.service_principal(vendor), await world.dump()
    client_id, tenant_id = service_principal["appId"], world.state.env["GATEHOUSE_TENANT_ID"]
    address = f"{world.state.authority}/{tenant_id}/federationmetadata/2007-06/federationmetadata.xml"
    async with (
        aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=world.tls)) as session,
        session.get(address, params={"appid": client_id}) as answer,
    ):
        metadata = await answer.text()
    return Story(
        plan=plan,
        operation=operation,
        writes=tuple(writes),
        application=await world.application(vendor),
        service_principal=service_principal,
        grants=tuple(grant for grant in dump["grants"] if grant["clientId"] == service_principal["id"]),
        assignments=tuple(entry for entry in dump["assignments"] if entry["resourceId"] == service_principal["id"]),
        vault=dump["vault"],
        mails=tuple(await world.mailbox()),
        metadata=metadata,
        users={user["userPrincipalName"]: user["id"] for user in dump["users"]},
        urls=world.state,
    )


@pytest.fixture(params=VENDORS)
def story(request: pytest.FixtureRequest, five: Mapping[str, Story]) -> tuple[str, Story]:
    """Each of the five in turn."""
    return request.param, five[request.param]


@pytest.fixture(scope="session")
async def running_hostless(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    """A tenant with its storage, and no host that takes messages."""
    log = tmp_path_factory.mktemp("hostless") / "log"
    async with running_sandbox(calm=True, host=False, log=log) as state, open_world(state, log) as world:
        yield world


@pytest.fixture
async def hostless(running_hostless: World, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Hostless]:
    """That tenant at its seed, and the stories called from here, with a time that the test gives."""
    await running_hostless.reset()
    for name, value in running_hostless.state.env.items():
        monkeypatch.setenv(name, value)
    # aiohttp, under the Azure SDKs, reads SSL_CERT_FILE only once, when it is imported: long before this sandbox.
    aiohttp.connector._SSL_CONTEXT_VERIFIED.load_verify_locations(running_hostless.state.env["SSL_CERT_FILE"])  # noqa: SLF001
    opened = Hostless(running_hostless)
    yield opened
    await opened.close()


WITH_VENDOR_PARAMETER = """
name = "Smartsheet"
protocol = "saml"
guide = "https://learn.microsoft.com/en-us/entra/identity/saas-apps/smartsheet-tutorial"

[source]
gallery = "Smartsheet"

[parameters.Workspace]
title = "Smartsheet workspace"
pattern = "[a-z0-9]{3,20}"
from = "vendor"

[saml]
identifiers = ["https://sso.smartsheet.com/{Workspace}"]
reply_urls = ["https://sso.smartsheet.com/{Workspace}/acs"]
sign_on_url = "https://sso.smartsheet.com"
initiated_by = "sp"

[handoff]
to = "vendor"
contact = "support@smartsheet.com"
deliver = ["metadata_url"]
steps = ["Set up the connection with the metadata URL and tell us your workspace."]

[handoff.fields]
metadata_url = "Metadata URL"

[people]
provisioning = "just-in-time"
"""


@pytest.fixture(scope="session")
async def running_wider_world(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    """A sandbox whose app knows two more vendors: `smartsheet` supplies a parameter itself, `broken` is broken."""
    folder = tmp_path_factory.mktemp("wider")
    app = folder / "app"
    app.mkdir()
    for name in APP:
        if (CLONE / name).is_dir():
            shutil.copytree(CLONE / name, app / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(CLONE / name, app / name)
    (app / "vendors" / "smartsheet.toml").write_text(WITH_VENDOR_PARAMETER, encoding="utf-8")
    (app / "vendors" / "broken.toml").write_text('name = "Broken"\n', encoding="utf-8")
    log = folder / "log"
    async with running_sandbox(calm=True, app=app, log=log) as state, open_world(state, log) as world:
        yield world


@pytest.fixture
async def wider_world(running_wider_world: World) -> World:
    """That sandbox at its seed."""
    await running_wider_world.reset()
    return running_wider_world
