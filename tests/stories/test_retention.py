"""Retention over the wire: what is forgotten after its time, and what that must not change."""

from datetime import timedelta

import pytest

import handlers.applications
import handlers.intake
import handlers.operations
import handlers.retention
from sso.caller import Caller
from sso.errors import Refused
from sso.hr import Fact, Timeline
from sso.model import ObjectId, OperationId, key_of
from sso.operation import fail
from tests.stories.hostless import Hostless
from tests.world import request

LEFT = ObjectId("0b1c4a1e-0b0a-4b76-9c57-5e5a52a3f101")
CLICKTIME = key_of("clicktime", "default")


async def lived(hostless: Hostless) -> OperationId:
    """An application whose onboarding is done, one message put aside, and somebody who left; returns the operation."""
    tenant, ledger = hostless.tenant, hostless.tenant.ledger
    operation = await hostless.accept("clicktime", key="once")
    await hostless.run_all()
    service_principal = await hostless.world.service_principal("clicktime")
    said = {"thumbprint": service_principal["preferredTokenSigningKeyThumbprint"], "by": "b.simon@contoso.com"}
    await handlers.applications.acknowledge(tenant, CLICKTIME, said, hostless.now)
    assert (await hostless.operation(operation.id)).finished
    await handlers.operations.give_up(tenant, "rotations", b"not ours", "it is not JSON", 5, hostless.now)
    person = await ledger.person(LEFT)
    fact = Fact("leaver", "b.simon@contoso.com", hostless.now, hostless.now, {"department": "Sales"})
    await ledger.put_person(type(person)(LEFT, Timeline((fact,))))
    return operation.id


async def test_what_is_over_is_forgotten_and_nothing_else_changes(hostless: Hostless) -> None:
    """After 400 days operation, batches, repeat and message are gone; the plan stays empty and nobody is mailed."""
    operation = await lived(hostless)
    mails = len(await hostless.world.mailbox())
    await hostless.pass_time(days=399)
    assert await handlers.retention.run(hostless.tenant, hostless.now) == 0
    await hostless.pass_time(days=2)
    plan = await handlers.intake.preview(hostless.tenant, request("clicktime"), hostless.now)
    assert plan.steps == ()
    assert await handlers.retention.run(hostless.tenant, hostless.now) > 0
    ledger = hostless.tenant.ledger
    with pytest.raises(Refused):
        await hostless.operation(operation)
    assert await ledger.batches(operation) == ()
    assert await ledger.unreadable() == []
    plan = await handlers.intake.preview(hostless.tenant, request("clicktime"), hostless.now)
    assert plan.steps == ()
    assert len(await hostless.world.mailbox()) == mails
    again = await hostless.accept("clicktime", key="once")
    assert again.id != operation
    assert await handlers.retention.run(hostless.tenant, hostless.now) == 0


async def test_who_left_stays_known_without_name_or_attributes(hostless: Hostless) -> None:
    """Somebody who left still gets nothing by any rule, and the ledger no longer says who they were."""
    await lived(hostless)
    await hostless.pass_time(days=401)
    await handlers.retention.run(hostless.tenant, hostless.now)
    ledger = hostless.tenant.ledger
    assert not (await ledger.persons())[LEFT].timeline.is_here(hostless.now)
    [fact] = (await ledger.person(LEFT)).timeline.facts
    assert (fact.subject, dict(fact.attributes)) == (LEFT, {})


async def test_what_is_not_finished_is_kept(hostless: Hostless) -> None:
    """An operation that waits is kept however old it is; once it has failed, its time runs from then."""
    operation = await hostless.accept("clicktime")
    await hostless.run_all()
    await hostless.pass_time(days=500)
    await handlers.retention.run(hostless.tenant, hostless.now)
    found = await hostless.operation(operation.id)
    await hostless.tenant.ledger.replace_operation(fail(found, (), hostless.now))
    await handlers.retention.run(hostless.tenant, hostless.now + timedelta(days=399))
    assert (await hostless.operation(operation.id)).finished


async def test_replaced_pages_go_and_the_one_that_counts_stays(hostless: Hostless) -> None:
    """Of an application that is there the newest page stays; of one that is gone none does."""
    await hostless.accept("clicktime")
    await hostless.run_all()
    await handlers.intake.hand_off_again(hostless.tenant, CLICKTIME, Caller(None, None), hostless.now)
    await hostless.run_all()
    ledger = hostless.tenant.ledger
    assert len(await ledger.pages(CLICKTIME)) == 2
    await hostless.pass_time(days=430)  # a page's time begins when its link ends
    await handlers.retention.run(hostless.tenant, hostless.now)
    [kept] = await ledger.pages(CLICKTIME)
    assert kept.state != "replaced"
    application = await hostless.world.application("clicktime")
    await hostless.world.control("DELETE", f"/objects/applications/{application['id']}")
    await handlers.retention.run(hostless.tenant, hostless.now)
    assert await ledger.pages(CLICKTIME) == []
