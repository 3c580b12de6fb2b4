"""A vendor whose profile pins an S/MIME certificate: its secret arrives encrypted, works, and is nowhere else."""

import base64
import json
import re
import shutil
from collections.abc import Mapping
from dataclasses import replace
from email import message_from_bytes
from email.policy import default
from pathlib import Path
from typing import Any

import pytest

import handlers.applications
import handlers.handoff
import handlers.health
import handlers.intake
import handlers.onboarding
import handlers.rotation
import handlers.summary
from clients.tenant import Tenant
from sandbox.graph.passwords import CANARY
from sso.caller import Caller
from sso.errors import Refused
from sso.model import ClientId, OperationId, Secret, key_of
from tests.handoff.test_sealed import decrypted
from tests.secrecy.witness import Witness, holding
from tests.stories import mails
from tests.stories.hostless import Hostless
from tests.vendors.pinned import STARTS, Vendor, vendor
from tests.world import request
from vendors.catalog import Catalog

pytestmark = pytest.mark.skipif(shutil.which("openssl") is None, reason="this machine has no openssl")

VENDORS = Path(__file__).parents[2] / "vendors"
PROFILE = (VENDORS / "ilogon_mha.toml").read_text("utf-8")
KEY = key_of("ilogon_mha", "default")
CONTACT = "support@keyfields.com"
SUPPORT, NEXT = vendor(CONTACT), vendor(CONTACT, key="rsa 2049")


def pinning(tenant: Tenant, folder: Path, to: Vendor) -> Tenant:
    """The tenant whose profile of iLOGON_MHA pins a certificate."""
    shutil.copytree(VENDORS, folder, ignore=shutil.ignore_patterns("*.py", "__pycache__"))
    smime = f"[handoff.smime]\ncertificate = '''\n{to.certificate}'''\n\n[people]"
    (folder / "ilogon_mha.toml").write_text(PROFILE.replace("[people]", smime), "utf-8")
    return replace(tenant, catalog=Catalog(folder))


async def onboard(hostless: Hostless, tenant: Tenant) -> OperationId:
    """Ask for iLOGON_MHA and carry it out until it rests; returns the operation."""
    body = request("ilogon_mha", assignments=None)
    accepted = await handlers.intake.accept(tenant, body, Caller(None, None), hostless.now)
    await carry_out(hostless, tenant)
    return accepted.id


async def carry_out(hostless: Hostless, tenant: Tenant) -> None:
    """Deliver every message until none is left, rotations too."""
    while delivered := await hostless.take():
        for message in delivered:
            await handlers.onboarding.run(tenant, message.operation, hostless.now)


def received(mail: Mapping[str, Any], by: Vendor, folder: Path) -> dict[str, str]:
    """What the vendor reads of a hand-off's file, line by line."""
    [file] = mail["attachments"]
    assert (file["name"], file["content_type"]) == ("smime.p7m", "application/pkcs7-mime")
    plain = decrypted(folder, base64.b64decode(file["content_base64"]), by)
    assert plain is not None
    text = message_from_bytes(plain, policy=default).get_content()
    return dict(line.split(": ", 1) for line in text.splitlines())


async def test_the_secret_arrives_encrypted_and_works(hostless: Hostless, tmp_path: Path) -> None:
    """The vendor opens the file and gets tokens with what stands there; no mail, row, message or call holds it."""
    tenant = pinning(hostless.tenant, tmp_path / "vendors", SUPPORT)
    operation = await onboard(hostless, tenant)
    sent = await hostless.world.mailbox()
    [told] = mails.handoffs(sent)
    assert (told["to"], told["cc"]) == ([CONTACT], ["app-owner@contoso.com"])
    lines = received(told, SUPPORT, tmp_path)
    assert CANARY in lines["Client Secret"]
    client_id = (await hostless.world.application("ilogon_mha"))["appId"]
    await tenant.sts.prove_secret(ClientId(client_id), Secret(lines["Client Secret"]))
    places = await Witness.beside(hostless.world).places()
    assert holding(places, CANARY) == []
    assert "row gatehouse page" in " ".join(places)
    found = await hostless.operation(operation)
    assert found.waiting_for is not None
    assert (found.waiting_for.what, found.waiting_for.whom) == ("acknowledgement", CONTACT)


async def test_the_page_only_takes_the_acknowledgement(hostless: Hostless, tmp_path: Path) -> None:
    """The page has no button that shows a secret, refuses to collect, and ends the operation when it is confirmed."""
    tenant = pinning(hostless.tenant, tmp_path / "vendors", SUPPORT)
    operation = await onboard(hostless, tenant)
    sent = await hostless.world.mailbox()
    token = mails.link_of(mails.handoffs(sent)[-1]).rpartition("/")[2]
    code = mails.code_of(mails.codes(sent)[-1])
    shown = await handlers.handoff.show(tenant, token, hostless.now)
    assert re.findall(r'value="(\w+)"', shown.html) == ["acknowledge", "problem"]
    refused = await handlers.handoff.act(tenant, token, {"action": "collect", "code": code}, hostless.now)
    assert (refused.status, CANARY in refused.html) == (409, False)
    done = await handlers.handoff.act(tenant, token, {"action": "acknowledge", "code": code}, hostless.now)
    assert done.status == 200
    assert (await hostless.operation(operation)).state == "done"


async def test_a_new_certificate_is_a_new_hand_off(hostless: Hostless, tmp_path: Path) -> None:
    """The same request tells nobody again; once another certificate is pinned, the same secret goes to that one."""
    tenant = pinning(hostless.tenant, tmp_path / "vendors", SUPPORT)
    await onboard(hostless, tenant)
    before = len(await hostless.world.mailbox())
    await onboard(hostless, tenant)
    assert len(await hostless.world.mailbox()) == before
    await onboard(hostless, pinning(hostless.tenant, tmp_path / "next", NEXT))
    first, second = mails.handoffs(await hostless.world.mailbox())
    one, other = received(first, SUPPORT, tmp_path), received(second, NEXT, tmp_path)
    assert one["Client Secret"] == other["Client Secret"]
    assert one["Reference"] != other["Reference"]
    assert len((await hostless.world.application("ilogon_mha"))["passwordCredentials"]) == 1


async def test_an_expired_certificate_stops_everything_before_the_mint(hostless: Hostless, tmp_path: Path) -> None:
    """A new onboarding is refused, nothing written; of an onboarded one no secret is minted, and health says why."""
    ended = vendor(CONTACT, days=30)
    tenant = pinning(hostless.tenant, tmp_path / "ended", ended)
    before = await hostless.world.last_call()
    with pytest.raises(Refused, match=r"ended on 2026-01-31.*Ask the vendor for a new one"):
        await onboard(hostless, tenant)
    assert await hostless.world.writes(before) == []
    await onboard(hostless, pinning(hostless.tenant, tmp_path / "good", SUPPORT))
    secrets = (await hostless.world.application("ilogon_mha"))["passwordCredentials"]
    before = await hostless.world.last_call()
    accepted = await handlers.rotation.rotate(tenant, KEY, {"reason": "planned"}, Caller(None, None), hostless.now)
    await handlers.onboarding.run(tenant, accepted.id, hostless.now)
    found = await hostless.operation(accepted.id)
    assert found.state == "failed"
    assert "ended on 2026-01-31" in found.reasons[0].detail
    assert (await hostless.world.application("ilogon_mha"))["passwordCredentials"] == secrets
    assert [call["operation"] for call in await hostless.world.writes(before)] == ["users.user.sendMail"]
    shown = await handlers.applications.find(tenant, KEY, hostless.now)
    assert shown["drift"] == [found.reasons[0].detail]
    catalogue = {check.name: check for check in await handlers.health.checks(tenant, hostless.now)}["catalogue"]
    assert not catalogue.ok
    assert "[handoff.smime] certificate" in catalogue.detail
    assert {check.name for check in await handlers.health.checks(tenant, STARTS) if not check.ok} == set()


async def test_a_reminder_brings_the_envelope_again(hostless: Hostless, tmp_path: Path) -> None:
    """A vendor that lost the mail finds secret, link and values in the reminder, again readable by the vendor alone."""
    tenant = pinning(hostless.tenant, tmp_path / "vendors", SUPPORT)
    first = await onboard(hostless, tenant)
    application = await hostless.world.application("ilogon_mha")
    [old] = application["passwordCredentials"]
    said = {"key_id": old["keyId"], "by": "support by telephone"}
    await handlers.applications.acknowledge(tenant, KEY, said, hostless.now)
    assert (await hostless.operation(first)).state == "done"
    await hostless.pass_time(minutes=1)
    accepted = await handlers.rotation.rotate(tenant, KEY, {"reason": "planned"}, Caller(None, None), hostless.now)
    await handlers.onboarding.run(tenant, accepted.id, hostless.now)
    hostless.later(days=8)
    await handlers.onboarding.run(tenant, accepted.id, hostless.now)
    _, told, reminder = mails.handoffs(await hostless.world.mailbox())
    assert reminder["subject"].startswith("Reminder: ")
    assert received(reminder, SUPPORT, tmp_path) == received(told, SUPPORT, tmp_path)
    assert reminder["attachments"] != told["attachments"]
    assert holding({"mails": json.dumps(await hostless.world.mailbox())}, CANARY) == []
