"""Each of the five, from a request to a signed-in person, with nothing passed but what the hand-off delivered."""

import pytest

from tests.world import VENDORS, World


@pytest.mark.parametrize("vendor", VENDORS)
async def test_request_ends_with_a_signed_in_person(world: World, vendor: str) -> None:
    """One request, one hand-off, and the assigned person is in at the vendor while an unassigned one is refused."""
    operation = await world.onboard(vendor)
    assert operation["state"] == "waiting", operation
    assert operation["waiting_for"]["what"] == "acknowledgement"
    assert await world.collect(vendor) == {"configured": True, "acknowledged": True, "reason": None}
    assert (await world.operation(operation["operation"]))["state"] == "done"
    inside = await world.sign_in(vendor)
    assert inside["signed_in"], inside["reason"]
    outside = await world.sign_in(vendor, "helpdesk")
    assert not outside["signed_in"]
    assert "AADSTS50105" in outside["reason"]
