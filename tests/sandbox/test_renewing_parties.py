"""The vendors' sides when a secret or certificate is renewed: what each keeps, and how it learns of a new one."""

from datetime import timedelta

import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from tests.sandbox.hand_made import SIMON, Made
from tests.sandbox.handed_off import SECRET, Contoso
from tests.sandbox.handoff_desk import Desk

NEW_SECRET = "canary~second.secret"


async def set_up(contoso: Contoso, vendor: str) -> tuple[Made, Desk]:
    """A vendor that has collected its first hand-off."""
    made, desk = contoso.onboard(vendor)
    contoso.deliver(desk)
    assert (await contoso.vendors.collect(vendor, "default"))["configured"]
    return made, desk


async def gets_in(contoso: Contoso, vendor: str) -> bool:
    """Whether B.Simon is signed in there."""
    return bool((await contoso.vendors.sign_in(vendor, "default", SIMON))["signed_in"])


@pytest.mark.parametrize(("slots", "works"), [(1, False), (2, True)])
async def test_form_with_two_slots_keeps_the_secret_so_far(contoso: Contoso, slots: int, works: bool) -> None:
    """A second secret that the tenant does not know locks people out where it took the only slot, and else does not."""
    _, desk = await set_up(contoso, "hellotracks")
    contoso.vendors.choose("hellotracks", slots, None)
    side = contoso.vendors.sides["hellotracks"]
    told = {label.casefold(): value for label, value in {**desk.values, **desk.secrets}.items()}
    await side.set_up("default", {**told, "tenant id": contoso.tenant.directory.tenant_id, "client secret": NEW_SECRET})
    assert SECRET in desk.secrets.values()
    assert await gets_in(contoso, "hellotracks") is works


@pytest.mark.parametrize(("slots", "works"), [(1, False), (2, True)])
async def test_form_with_two_slots_keeps_the_certificate_so_far(contoso: Contoso, slots: int, works: bool) -> None:
    """A certificate that does not sign yet locks people out where it took the only slot, and else does not."""
    made, desk = await set_up(contoso, "clicktime")
    contoso.vendors.choose("clicktime", slots, None)
    new = contoso.add_certificate(made, active=False).certificate.public_bytes(Encoding.PEM).decode()
    told = {"identity provider endpoint": desk.values["Identity Provider Endpoint"], "x.509 certificate": new}
    await contoso.vendors.sides["clicktime"].set_up("default", told)
    assert await gets_in(contoso, "clicktime") is works


async def test_vendor_reads_the_metadata_again_when_its_hours_are_over(contoso: Contoso) -> None:
    """A vendor that polls every day believes a new certificate a day later, not an hour later."""
    made, _ = await set_up(contoso, "thoropass")
    contoso.vendors.choose("thoropass", None, 24)
    contoso.add_certificate(made, active=True)
    clock = contoso.tenant.clock
    clock.set(clock.now() + timedelta(hours=1), None)
    assert not await gets_in(contoso, "thoropass")
    clock.set(clock.now() + timedelta(hours=24), None)
    assert await gets_in(contoso, "thoropass")


async def test_vendor_that_keeps_one_is_upset_by_a_second_in_the_metadata(contoso: Contoso) -> None:
    """An inactive second certificate in the metadata takes the only place, and nobody gets in until it signs."""
    made, _ = await set_up(contoso, "thoropass")
    contoso.vendors.choose("thoropass", 1, 1)
    second = contoso.add_certificate(made, active=False)
    clock = contoso.tenant.clock
    clock.set(clock.now() + timedelta(hours=1), None)
    assert not await gets_in(contoso, "thoropass")
    made.service_principal["preferredTokenSigningKeyThumbprint"] = second.thumbprint
    assert await gets_in(contoso, "thoropass")
