"""Where the gallery presets a vendor's addresses: on the application, in the template alone, or nowhere."""

import pytest

from sandbox.gallery import ILOGON_MHA_REDIRECT_URI, THOROPASS_IDENTIFIER, THOROPASS_REPLY_URL
from tests.stories.mails import handoffs, others
from tests.world import World

ADDRESSES = {
    "thoropass": ([THOROPASS_IDENTIFIER], [THOROPASS_REPLY_URL]),
    "ilogon_mha": ([], [ILOGON_MHA_REDIRECT_URI]),
}
CREDENTIALS = {"mint_secret", "promote_secret", "add_certificate", "activate_certificate"}


@pytest.mark.parametrize("vendor", ADDRESSES)
@pytest.mark.parametrize("presets", ["application", "template"])
async def test_preset_addresses_reach_the_application(world: World, vendor: str, presets: str) -> None:
    """Preset on the application or only in the template, without its patterns: people sign in by these addresses."""
    await world.control("PUT", "/switches", {"presets": presets})
    await world.onboard(vendor)
    application = await world.application(vendor)
    assert (application["identifierUris"], application["web"]["redirectUris"]) == ADDRESSES[vendor]
    collected = await world.collect(vendor)
    assert collected["acknowledged"], collected["reason"]
    inside = await world.sign_in(vendor)
    assert inside["signed_in"], inside["reason"]
    assert await world.plan(vendor) == {"steps": [], "notes": []}


@pytest.mark.parametrize("vendor", ADDRESSES)
async def test_addresses_that_are_preset_nowhere_fail_before_any_credential(world: World, vendor: str) -> None:
    """Without addresses the operation fails with the line for the profile: no credential, nobody assigned or mailed."""
    await world.control("PUT", "/switches", {"presets": "none"})
    before = await world.last_call()
    operation = await world.onboard(vendor)
    assert operation["state"] == "failed"
    (reason,) = operation["reasons"]
    line = {"thoropass": 'identifiers = ["…"]', "ilogon_mha": 'redirect_uris = ["https://…"]'}[vendor]
    assert line in reason["detail"]
    assert "profile" in reason["detail"]
    taken = {step["step"] for step in operation["steps"] if step["state"] == "done"}
    assert not taken & CREDENTIALS
    made = {write["operation"].rpartition(".")[2] for write in await world.writes(before)}
    assert not made & {"addPassword", "addTokenSigningCertificate", "CreateAppRoleAssignedTo"}
    assert (await world.dump())["vault"] == {}
    mails = await world.mailbox()
    assert handoffs(mails) == []
    (told,) = others(mails)
    assert told["to"] == ["app-owner@contoso.com"]
    assert line in told["text"]
