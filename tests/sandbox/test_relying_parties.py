"""The five vendors' sides: each gets in whom it may, with nothing but what its hand-off said."""

import pytest

from sandbox import gallery
from sandbox.relying_parties import ilogon_mha, thoropass
from tests.sandbox.hand_made import SIMON, UNASSIGNED
from tests.sandbox.handed_off import Contoso
from tests.sandbox.handoff_desk import OWNER, Desk

FIVE = ("clicktime", "hellotracks", "ilogon_mha", "smarttrace", "thoropass")
OIDC = ("hellotracks", "ilogon_mha", "smarttrace")


@pytest.mark.parametrize("vendor", FIVE)
async def test_a_hand_off_is_enough_to_sign_in(contoso: Contoso, vendor: str) -> None:
    """After collecting, B.Simon is signed in, a colleague who is not assigned is refused with AADSTS50105."""
    _, desk = contoso.onboard(vendor)
    contoso.deliver(desk)
    assert await contoso.vendors.collect(vendor, "default") == {
        "configured": True,
        "acknowledged": True,
        "reason": None,
    }
    assert (desk.collected, desk.acknowledged) == (1 if vendor in OIDC else 0, 1)
    signed_in = await contoso.vendors.sign_in(vendor, "default", SIMON)
    assert (signed_in["signed_in"], signed_in["reason"]) == (True, None)
    assert SIMON in signed_in["claims"].values()
    refused = await contoso.vendors.sign_in(vendor, "default", UNASSIGNED)
    assert (refused["signed_in"], refused["claims"]) == (False, {})
    assert refused["reason"].startswith("AADSTS50105")


@pytest.mark.parametrize("vendor", FIVE)
async def test_what_a_vendor_knew_is_brought_back(contoso: Contoso, vendor: str) -> None:
    """A vendor that was set up before everything was kept signs people in again after a reset to that."""
    _, desk = contoso.onboard(vendor)
    contoso.deliver(desk)
    assert (await contoso.vendors.collect(vendor, "default"))["acknowledged"]
    contoso.tenant.keep("set up")
    await contoso.tenant.reset()
    assert not (await contoso.vendors.sign_in(vendor, "default", SIMON))["signed_in"]
    for _ in range(2):
        await contoso.tenant.reset("set up")
        signed_in = await contoso.vendors.sign_in(vendor, "default", SIMON)
        assert (signed_in["signed_in"], signed_in["reason"]) == (True, None)
    assert (await contoso.vendors.collect(vendor, "default"))["acknowledged"]


@pytest.mark.parametrize("vendor", FIVE)
async def test_without_a_hand_off_a_vendor_knows_nothing(contoso: Contoso, vendor: str) -> None:
    """However complete the tenant is, a vendor that was told nothing neither sets itself up nor lets anyone in."""
    contoso.onboard(vendor)
    collected = await contoso.vendors.collect(vendor, "default")
    assert (collected["configured"], collected["acknowledged"]) == (False, False)
    assert collected["reason"].startswith(f"No hand-off for {vendor}/default has reached ")
    refused = await contoso.vendors.sign_in(vendor, "default", SIMON)
    assert not refused["signed_in"]
    assert "collect its hand-off first" in refused["reason"]


@pytest.mark.parametrize("vendor", ["ilogon_mha", "thoropass"])
async def test_a_vendor_reads_only_its_own_mail(contoso: Contoso, vendor: str) -> None:
    """A hand-off that went to the owner instead of the vendor's contact does not reach the vendor."""
    _, desk = contoso.onboard(vendor)
    desk.to = OWNER
    contoso.deliver(desk)
    assert not (await contoso.vendors.collect(vendor, "default"))["configured"]


@pytest.mark.parametrize("vendor", FIVE)
async def test_without_the_code_nothing_is_collected(contoso: Contoso, vendor: str) -> None:
    """The link alone opens nothing, and the reason names the reference."""
    _, desk = contoso.onboard(vendor)
    desk.deliver(contoso.tenant, contoso.host.url, with_code=False)
    collected = await contoso.vendors.collect(vendor, "default")
    assert collected == {"configured": False, "acknowledged": False, "reason": "No mail holds the code of GH-7F3K2M9Q."}
    assert (desk.collected, desk.acknowledged) == (0, 0)


@pytest.mark.parametrize(
    ("vendor", "label"),
    [
        ("clicktime", "Identity Provider Endpoint"),
        ("hellotracks", "Client ID"),
        ("smarttrace", "APPLICATION ID"),
        ("smarttrace", "SmartTrace instance name"),
        ("ilogon_mha", "Application ID"),
        ("thoropass", "App Federation Metadata Url"),
    ],
)
async def test_a_missing_value_is_named(contoso: Contoso, vendor: str, label: str) -> None:
    """A vendor that lacks one field stays unset and says which, without saying any secret."""
    _, desk = contoso.onboard(vendor)
    desk.values = {name: value for name, value in desk.values.items() if name != label}
    contoso.deliver(desk)
    collected = await contoso.vendors.collect(vendor, "default")
    assert not collected["configured"]
    assert collected["reason"] == f"The hand-off has no value for {label}."
    assert desk.acknowledged == 0


@pytest.mark.parametrize("vendor", OIDC)
async def test_without_consent_nobody_signs_in(contoso: Contoso, vendor: str) -> None:
    """Once the grant is gone an assigned person is refused with AADSTS90094."""
    _, desk = contoso.onboard(vendor)
    contoso.deliver(desk)
    await contoso.vendors.collect(vendor, "default")
    contoso.tenant.directory.grants.clear()
    refused = await contoso.vendors.sign_in(vendor, "default", SIMON)
    assert (refused["signed_in"], refused["reason"][:11]) == (False, "AADSTS90094")


@pytest.mark.parametrize("vendor", OIDC)
async def test_a_wrong_secret_is_refused_at_redemption(contoso: Contoso, vendor: str) -> None:
    """A vendor that was handed another secret gets AADSTS7000215, and the reason does not hold the secret."""
    _, desk = contoso.onboard(vendor)
    desk.secrets = dict.fromkeys(desk.secrets, "canary~another.secret")
    contoso.deliver(desk)
    await contoso.vendors.collect(vendor, "default")
    refused = await contoso.vendors.sign_in(vendor, "default", SIMON)
    assert refused["reason"].startswith("AADSTS7000215")
    assert "canary" not in refused["reason"]


async def test_another_certificate_is_not_believed(contoso: Contoso) -> None:
    """ClickTime refuses a response that is signed with a certificate it was not given."""
    made, desk = contoso.onboard("clicktime")
    contoso.deliver(desk)
    await contoso.vendors.collect("clicktime", "default")
    contoso.add_certificate(made)
    refused = await contoso.vendors.sign_in("clicktime", "default", SIMON)
    assert not refused["signed_in"]
    assert "not signed with a certificate that we were given" in refused["reason"]


async def test_thoropass_is_entered_from_the_tile_as_well(contoso: Contoso) -> None:
    """With its sign-on URL the tile leads through Thoropass, without one the response comes unasked."""
    made, desk = contoso.onboard("thoropass")
    contoso.deliver(desk)
    await contoso.vendors.collect("thoropass", "default")
    tile = f"{contoso.tenant.urls.authority}/api/signin/{made.client_id}?tenantId={contoso.tenant.directory.tenant_id}"
    for login_url in ("https://login.thoropass.com", None):
        made.service_principal["loginUrl"] = login_url
        page = await contoso.vendors.browser(SIMON).open(tile)
        assert page.reply.status == 200
        assert '"signed_in": true' in page.reply.text


async def test_two_instances_of_smarttrace_stand_side_by_side(contoso: Contoso) -> None:
    """Each instance has its own application, callback and people."""
    first, first_desk = contoso.onboard("smarttrace")
    second, second_desk = contoso.onboard("smarttrace", "second")
    second_desk.reference = "GH-22222222"
    for desk in (first_desk, second_desk):
        contoso.deliver(desk)
    for instance, made in (("default", first), ("second", second)):
        assert (await contoso.vendors.collect("smarttrace", instance))["acknowledged"]
        signed_in = await contoso.vendors.sign_in("smarttrace", instance, SIMON)
        assert signed_in["claims"]["aud"] == made.client_id


async def test_hellotracks_creates_people_as_workers(contoso: Contoso) -> None:
    """Whoever signs in for the first time exists afterwards, with the worker role."""
    _, desk = contoso.onboard("hellotracks")
    contoso.deliver(desk)
    await contoso.vendors.collect("hellotracks", "default")
    people = contoso.vendors.sides["hellotracks"].customers["default"].people
    assert people == {}
    await contoso.vendors.sign_in("hellotracks", "default", SIMON)
    assert people == {SIMON: {"name": SIMON, "role": "worker"}}


async def test_the_newest_hand_off_counts(contoso: Contoso) -> None:
    """After a new hand-off the vendor collects again and works with the new secret."""
    made, old = contoso.onboard("hellotracks")
    contoso.deliver(old)
    await contoso.vendors.collect("hellotracks", "default")
    made.application["passwordCredentials"].clear()
    contoso.add_secret(made, "canary~second.secret")
    assert not (await contoso.vendors.sign_in("hellotracks", "default", SIMON))["signed_in"]
    new = Desk("Hellotracks", OWNER, old.values, {"Client Secret": "canary~second.secret"}, reference="GH-22222222")
    contoso.host.desks[new.token] = new
    contoso.deliver(new)
    assert (await contoso.vendors.collect("hellotracks", "default"))["acknowledged"]
    assert (await contoso.vendors.sign_in("hellotracks", "default", SIMON))["signed_in"]
    assert (old.collected, new.collected) == (1, 1)


async def test_collecting_again_changes_nothing(contoso: Contoso) -> None:
    """An acknowledged hand-off is not opened a second time."""
    _, desk = contoso.onboard("hellotracks")
    contoso.deliver(desk)
    for _ in range(2):
        assert (await contoso.vendors.collect("hellotracks", "default"))["acknowledged"]
    assert (desk.collected, desk.acknowledged) == (1, 1)


async def test_a_page_that_somebody_else_has_collected_is_reported(contoso: Contoso) -> None:
    """The reason carries the page's own words."""
    _, desk = contoso.onboard("ilogon_mha")
    desk.collected = 1
    contoso.deliver(desk)
    collected = await contoso.vendors.collect("ilogon_mha", "default")
    assert collected["reason"] == "Collecting was answered 409: This was collected already"


async def test_a_reset_forgets_every_customer(contoso: Contoso) -> None:
    """After a reset of the tenant the vendors know nobody."""
    _, desk = contoso.onboard("thoropass")
    contoso.deliver(desk)
    await contoso.vendors.collect("thoropass", "default")
    await contoso.tenant.reset()
    assert "collect its hand-off first" in (await contoso.vendors.sign_in("thoropass", "default", SIMON))["reason"]


async def test_an_unknown_vendor_is_refused_by_name(contoso: Contoso) -> None:
    """Both calls say which vendors there are."""
    for answer in (
        await contoso.vendors.collect("nobody", "default"),
        await contoso.vendors.sign_in("nobody", "default", SIMON),
    ):
        assert all(vendor in answer["reason"] for vendor in FIVE)


def test_the_gallery_presets_what_the_vendors_use() -> None:
    """The template's URLs are the vendor's own, since no hand-off tells a vendor its own addresses."""
    assert gallery.THOROPASS_IDENTIFIER == thoropass.ENTITY_ID
    assert gallery.THOROPASS_REPLY_URL == thoropass.REPLY_URL
    assert gallery.ILOGON_MHA_REDIRECT_URI == ilogon_mha.REDIRECT_URI
