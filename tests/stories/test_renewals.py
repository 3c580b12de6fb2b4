"""Signing certificates renewed with the vendors themselves: people sign in before, between and after."""

import pytest

from tests.api.answers import until
from tests.world import World


async def rotate(world: World, vendor: str) -> str:
    """Ask for a new signing certificate and wait until the vendor is waited for; returns the operation."""
    reply = await world.api("POST", f"/applications/{vendor}/default/rotations", {"reason": "planned"})
    assert reply.status == 202, reply.text
    operation = await world.rest(reply.body["operation"])
    assert operation["waiting_for"]["what"] == "acknowledgement"
    return str(operation["operation"])


async def thumbprint(world: World, vendor: str) -> str:
    """The thumbprint that signs."""
    return str((await world.service_principal(vendor))["preferredTokenSigningKeyThumbprint"])


@pytest.mark.parametrize("vendor", ["clicktime", "thoropass"])
async def test_certificate_is_renewed_by_hand_off_alone(world: World, vendor: str) -> None:
    """The vendor presses "activate now", by its form or by its metadata, and people sign in before and after."""
    await world.onboard(vendor)
    await world.collect(vendor)
    old = await thumbprint(world, vendor)
    operation = await rotate(world, vendor)
    assert await thumbprint(world, vendor) == old
    assert (await world.sign_in(vendor))["signed_in"]

    async def acknowledged() -> bool:
        return bool((await world.collect(vendor))["acknowledged"])

    async def inside() -> bool:
        return bool((await world.sign_in(vendor))["signed_in"])

    await until(acknowledged)
    await until(inside)
    assert await thumbprint(world, vendor) != old

    async def moved_on() -> bool:
        found = await world.operation(operation)
        return found["state"] == "done" or (found["waiting_for"] or {}).get("what") == "time"

    await until(moved_on)
    assert await inside()
