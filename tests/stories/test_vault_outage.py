"""The vault is away at the worst moments of a rotation: the old secret works throughout, the new one is completed."""

from collections.abc import AsyncIterator, Mapping
from typing import Any

import pytest

import handlers.applications
import handlers.operations
import handlers.rotation
from sso.caller import Caller
from sso.model import KeyId, Secret, key_of
from sso.operation import Operation
from tests.kills.ground import SOAK
from tests.numbers import say
from tests.stories.hostless import Hostless

KEY = key_of("hellotracks", "default")
NOWHERE = "https://127.0.0.1:1"  # nothing listens there: every connection is refused
LOOKS = 2  # during an outage, each of which waits for what the vault's own client repeats
# What the vault refuses first, and when: the run gets so far, and then the vault is away.
MOMENTS: Mapping[str, dict[str, Any]] = {
    "between addPassword and staging": {"method": "PUT", "path": f"{KEY.staged_secret_name}?"},
    "between staging and promoting": {"method": "PUT", "path": f"{KEY.secret_name}?"},
    "at the retirement, once the old one is removed": {"method": "PATCH", "path": f"{KEY.secret_name}/"},
}


@pytest.fixture
async def waiting(hostless: Hostless) -> AsyncIterator[Hostless]:
    """A deployment whose waits are short, with one application whose vendor is set up."""
    hostless.settings["GATEHOUSE_WAIT_SCALE"] = "0.05"
    await hostless.accept("hellotracks")
    await hostless.run_all()
    await _acknowledge(hostless)
    yield hostless
    await hostless.world.control("PUT", "/faults", [])


async def _acknowledge(hostless: Hostless) -> None:
    page = (await hostless.tenant.ledger.pages(KEY))[0]
    body = {"key_id": page.credential, "by": "Dana of the vendor"}
    await handlers.applications.acknowledge(hostless.tenant, KEY, body, hostless.now)
    await hostless.run_all()


async def _passwords(hostless: Hostless) -> set[str]:
    return {p["keyId"] for p in (await hostless.world.application("hellotracks"))["passwordCredentials"]}


async def _refuse(hostless: Hostless, call: Mapping[str, Any] | None) -> None:
    """Let the vault refuse the calls of one kind; None: it answers again."""
    names = {
        found["operation"]
        for found in await hostless.world.calls()
        if call and found["service"] == "vault" and found["method"] == call["method"]
    }
    plan = [
        {"service": "vault", "operation": name, "path": call["path"], "fault": "unavailable", "times": None}
        for name in names
        if call
    ]
    assert plan or call is None
    await hostless.world.control("PUT", "/faults", plan)


async def _works(hostless: Hostless, secret: Secret) -> None:
    client_id = (await hostless.world.application("hellotracks"))["appId"]
    await hostless.tenant.sts.prove_secret(client_id, secret)


async def _vault(hostless: Hostless, url: str) -> None:
    """Let the app find its vault elsewhere from now on."""
    await hostless.close()
    hostless.settings["GATEHOUSE_KEY_VAULT_URL"] = url


async def _once(hostless: Hostless) -> None:
    """Carry out what is visible now: what waits for the vault sends a message of its own, again and again."""
    for message in await hostless.take():
        await hostless.run(message)


async def _go_on(hostless: Hostless, **span: float) -> Operation:
    """Let time pass, and the sweep take the rotation up."""
    await hostless.pass_time(**span)
    await handlers.operations.sweep(hostless.tenant, hostless.now)
    await _once(hostless)
    found, _ = await hostless.tenant.ledger.operations()
    return next(operation for operation in found if operation.kind == "rotation")


# Each moment and each length once; `make soak` takes all nine.
CASES = [(moment, minutes) for moment in MOMENTS for minutes in (1, 10, 60)]


@pytest.mark.parametrize(("moment", "minutes"), CASES if SOAK else CASES[2::2][:3])
async def test_a_rotation_outlives_an_outage_of_the_vault(waiting: Hostless, moment: str, minutes: int) -> None:
    """However long the vault is away, the operation waits; then old and new are left, or the new alone."""
    (old,) = await _passwords(waiting)
    value, vault = await waiting.tenant.vault.read_secret(KEY, KeyId(old)), waiting.settings["GATEHOUSE_KEY_VAULT_URL"]
    retires = moment.startswith("at the retirement")
    await waiting.pass_time(minutes=1)  # the vault tells versions apart by whole seconds
    if not retires:
        await _refuse(waiting, MOMENTS[moment])
    await handlers.rotation.rotate(waiting.tenant, KEY, {"reason": "planned"}, Caller(None, None), waiting.now)
    await _once(waiting)
    if retires:
        await _acknowledge(waiting)
        await _refuse(waiting, MOMENTS[moment])
        await _go_on(waiting, days=15)
    await _vault(waiting, NOWHERE)
    for _ in range(LOOKS):
        operation = await _go_on(waiting, minutes=minutes / LOOKS)
        assert operation.state in {"waiting", "running"}, operation.reasons
        if not retires:
            await _works(waiting, value)
    await _vault(waiting, vault)
    await _refuse(waiting, None)
    for _ in range(LOOKS):
        operation = await _go_on(waiting, minutes=10)
    left = await _passwords(waiting)
    versions = (await waiting.world.dump())["vault"]
    public = {v["tags"]["key-id"] for v in versions[KEY.secret_name]["versions"] if v["enabled"]}
    assert [v for v in versions[KEY.staged_secret_name]["versions"] if v["enabled"]] == []
    assert public == left
    if retires:
        assert operation.state == "done"
        assert len(left - {old}) == len(left) == 1
    else:
        assert operation.waiting_for is not None
        assert operation.waiting_for.what == "acknowledgement"
        assert old in left
        assert len(left) == 2
        await _works(waiting, value)
    (new,) = left - {old}
    await _works(waiting, await waiting.tenant.vault.read_secret(KEY, KeyId(new)))
    say(f"vault away for {minutes} min {moment}: completed{'' if retires else ', the old secret valid throughout'}")
