"""The plain hand-off: a secret stands in a mail only where profile and setting both say so."""

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import handlers.assignment
import handlers.intake
import handlers.onboarding
from sandbox.graph.passwords import CANARY
from sso.caller import Caller
from sso.model import key_of
from tests.stories.hostless import Hostless
from tests.world import request
from vendors.catalog import Catalog

VENDORS = Path(__file__).parents[2] / "vendors"
SECRET = re.compile(r"^APPLICATION \(CLIENT\) SECRET: (\S+)$", re.MULTILINE)


@pytest.fixture
def catalog(tmp_path: Path) -> Catalog:
    """SmartTrace, whose profile says `plain`."""
    profile = (VENDORS / "smarttrace.toml").read_text("utf-8")
    changed = profile.replace('to = "owner"\n', 'to = "owner"\nplain = true\n')
    assert changed != profile
    (tmp_path / "smarttrace.toml").write_text(changed, "utf-8")
    return Catalog(tmp_path)


async def mails(hostless: Hostless, catalog: Catalog, *, setting: bool) -> list[dict[str, Any]]:
    """Onboard SmartTrace by this catalogue, with the setting on or off, and return its mails."""
    settings = hostless.tenant.settings.model_copy(update={"allow_plain_secrets": setting})
    tenant, now = replace(hostless.tenant, catalog=catalog, settings=settings), hostless.now
    await handlers.intake.accept(tenant, request("smarttrace"), Caller(None, None), now)
    while delivered := await hostless.take():
        for message in delivered:
            if message.batch is None:
                await handlers.onboarding.run(tenant, message.operation, now)
            else:
                await handlers.assignment.run(tenant, message.operation, message.batch, now)
    return await hostless.world.mailbox()


async def test_profile_and_setting_together_put_the_secret_into_the_mail(hostless: Hostless, catalog: Catalog) -> None:
    """Then it stands in the hand-off's mail alone, beside its field, and the page has nothing to collect."""
    sent = await mails(hostless, catalog, setting=True)
    (told,) = [mail for mail in sent if CANARY in json.dumps(mail)]
    assert told["to"] == ["app-owner@contoso.com"]
    secret = SECRET.search(told["text"].replace("\r\n", "\n"))
    assert secret is not None
    assert CANARY in secret[1]
    (page,) = await hostless.tenant.ledger.pages(key_of("smarttrace", "default"))
    assert not page.secret
    assert secret[1] not in json.dumps(page.values)


@pytest.mark.parametrize(("profile", "setting"), [("plain", False), ("as shipped", True)])
async def test_one_of_the_two_is_not_enough(
    hostless: Hostless, catalog: Catalog, profile: str, *, setting: bool
) -> None:
    """Where only the profile or only the setting allows it, no mail holds the secret and the page shows it."""
    sent = await mails(hostless, catalog if profile == "plain" else Catalog(), setting=setting)
    assert [mail for mail in sent if CANARY in json.dumps(mail)] == []
    (page,) = await hostless.tenant.ledger.pages(key_of("smarttrace", "default"))
    assert page.secret
