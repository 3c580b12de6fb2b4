"""Steps that are taken at the same moment: what one of them meets is its own."""

import pytest

from clients.ledger import Changed
from sso.codes import token_hash_of
from sso.model import key_of
from tests.stories.hostless import Hostless
from tests.stories.mails import codes, handoffs, link_of

SERVICE_PRINCIPAL = "servicePrincipals.servicePrincipal_UpdateServicePrincipal"
APPLICATION = "applications.application_UpdateApplication"
MAIL = "users.user.sendMail"


async def _onboard(hostless: Hostless, vendor: str) -> str:
    """What an onboarding waits for once its run is through."""
    accepted = await hostless.accept(vendor)
    await hostless.run_all()
    waiting = (await hostless.operation(accepted.id)).waiting_for
    assert waiting
    return waiting.what


async def test_application_is_changed_after_its_service_principal_and_not_without(hostless: Hostless) -> None:
    """Both travel in one batch; where the service principal is refused for now the application waits for it."""
    fault = {"operation": SERVICE_PRINCIPAL, "fault": "unavailable", "retry_after": 1}
    await hostless.world.control("PUT", "/faults", [fault])
    assert await _onboard(hostless, "clicktime") == "acknowledgement"
    told = [call for call in await hostless.world.calls() if call["operation"] in {SERVICE_PRINCIPAL, APPLICATION}]
    assert [(call["operation"], call["status"]) for call in told if call.get("batch")] == [
        (SERVICE_PRINCIPAL, 503),
        (APPLICATION, 424),
        (SERVICE_PRINCIPAL, 204),
        (APPLICATION, 204),
    ]


@pytest.mark.parametrize("refused", [1, 2])
async def test_mail_that_is_refused_doubles_no_other(hostless: Hostless, refused: int) -> None:
    """Where one of the two mails is throttled it is sent later, once, and the other is not sent again."""
    fault = {"operation": MAIL, "nth": refused, "fault": "throttle", "retry_after": 1}
    await hostless.world.control("PUT", "/faults", [fault])
    assert await _onboard(hostless, "hellotracks") == "acknowledgement"
    mails = await hostless.world.mailbox()
    assert (len(handoffs(mails)), len(codes(mails)), len(mails)) == (1, 1, 2)
    pages = await hostless.tenant.ledger.pages(key_of("hellotracks", "default"))
    (live,) = [page for page in pages if page.state == "open"]
    assert live.token_hash == token_hash_of(link_of(handoffs(mails)[0]).rsplit("/", 1)[1])
    assert live.link_mailed
    assert live.code_mailed


async def test_secret_that_cannot_be_minted_holds_up_no_consent(hostless: Hostless) -> None:
    """Consent and secret are asked for at the same moment; where one fails the other is there, and told as done."""
    fault = {"operation": "applications.application.addPassword", "fault": "refuse", "status": 400}
    await hostless.world.control("PUT", "/faults", [fault])
    accepted = await hostless.accept("hellotracks")
    await hostless.run_all()
    failed = await hostless.operation(accepted.id)
    states = {record.step: record.state for record in failed.steps}
    assert failed.state == "failed"
    assert (states["grant_consent"], states["mint_secret"]) == ("done", "failed")
    assert len((await hostless.world.dump())["grants"]) == 1


async def test_lease_is_one_holders_until_it_is_over(hostless: Hostless) -> None:
    """Another takes a lease only when it is over, and whoever had it is told when it wants it renewed."""
    ledger, key, begin = hostless.tenant.ledger, key_of("clicktime", "default"), hostless.now
    lease = await ledger.take_lease(key.row, "one", begin, 1)
    assert lease
    assert await ledger.take_lease(key.row, "other", hostless.later(seconds=59), 1) is None
    lease = await ledger.renew_lease(lease, hostless.now, 1)
    assert await ledger.take_lease(key.row, "other", hostless.later(seconds=64), 1) is None
    other = await ledger.take_lease(key.row, "other", hostless.later(seconds=2), 1)
    assert other
    with pytest.raises(Changed):
        await ledger.renew_lease(lease, hostless.now, 1)
    await ledger.release_lease(lease)
    assert await ledger.take_lease(key.row, "third", hostless.now, 1) is None
    await ledger.release_lease(other)
    assert await ledger.take_lease(key.row, "third", hostless.now, 1)
