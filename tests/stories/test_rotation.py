"""A client secret is succeeded without an outage: the old one works until the vendor has said that the new one does."""

from typing import Any

from tests.api.answers import until
from tests.world import World


async def rotate(world: World, reason: str = "planned") -> dict[str, Any]:
    """Ask for a rotation of SmartTrace's secret and wait until it rests."""
    reply = await world.api("POST", "/applications/smarttrace/default/rotations", {"reason": reason})
    assert reply.status == 202, reply.text
    return await world.rest(reply.body["operation"])


async def secrets_of(world: World) -> dict[str, str]:
    """The credentials that the application shows, key ID to state."""
    reply = await world.api("GET", "/applications/smarttrace/default")
    return {credential["id"]: credential["state"] for credential in reply.body["credentials"]}


async def waits_of(world: World) -> dict[str, tuple[str, str]]:
    """What each credential that waits is waiting for, and of whom, by state."""
    reply = await world.api("GET", "/applications/smarttrace/default")
    waiting = {credential["state"]: credential["waiting_for"] for credential in reply.body["credentials"]}
    return {state: (found["what"], found["whom"]) for state, found in waiting.items() if found}


async def test_rotation_keeps_sign_in_working_throughout(world: World) -> None:
    """Before, between and after the vendor's switch an assigned person signs in, and the old secret stays meanwhile."""
    await world.onboard("smarttrace")
    await world.collect("smarttrace")
    [old] = await secrets_of(world)
    operation = await rotate(world)
    taken = [step["step"] for step in operation["steps"]]
    assert taken == ["mint_secret", "promote_secret", "mail_handoff", "mail_code"]
    assert operation["waiting_for"]["what"] == "acknowledgement"
    assert (await world.sign_in("smarttrace"))["signed_in"]
    assert sorted((await secrets_of(world)).values()) == ["current", "previous"]
    assert await waits_of(world) == {"current": ("acknowledgement", "the owner")}
    assert await world.collect("smarttrace") == {"configured": True, "acknowledged": True, "reason": None}
    assert (await world.sign_in("smarttrace"))["signed_in"]
    assert (await secrets_of(world))[old] == "previous"

    async def overlaps() -> bool:
        return await waits_of(world) == {"previous": ("time", "the overlap")}

    await until(overlaps)


async def test_compromised_secret_is_removed_at_once(world: World) -> None:
    """Where the reason is `compromised`, the old secret is gone as soon as the new one is handed over."""
    await world.onboard("smarttrace")
    await world.collect("smarttrace")
    [old] = await secrets_of(world)
    operation = await rotate(world, "compromised")
    assert [step["step"] for step in operation["steps"]][-1] == "retire_secret"
    assert old not in await secrets_of(world)
    assert not (await world.sign_in("smarttrace"))["signed_in"]
    await world.collect("smarttrace")
    assert (await world.sign_in("smarttrace"))["signed_in"]

    async def done() -> bool:
        return bool((await world.operation(operation["operation"]))["state"] == "done")

    await until(done)
