"""The tenant: everything outside, observed as one value and changed by one step at a time.

`observe` reads Entra, vault and ledger; `apply` is the one place that writes what a plan says, so there is one place to
kill. Each non-idempotent call has its recovery (design: identity, order and recovery): `intents` for what Graph makes,
rows whose repetition is success for grants, pages that say which of their mails was taken.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from typing import Self, assert_never, get_args

from azure.identity.aio import DefaultAzureCredential

from clients.graph import Graph
from clients.graph.together import attempted
from clients.ledger import Ledger
from clients.mail import Mailer
from clients.queues import Queues
from clients.settings import Settings, sdk_options
from clients.sts import Sts
from clients.tenant import access, braking, credentials, directory, offboarding, telling
from clients.tenant.leasing import BUSY_PAUSE, Held, leased
from clients.tenant.observing import observe
from clients.tenant.parts import Parts, Work
from clients.tenant.reserving import reserve
from clients.tenant.settling import settle
from clients.vault import Vault
from sso import brake, steps
from sso.assignment import Batch, Change, Outcome
from sso.errors import GatehouseError
from sso.model import Key, ObjectId, OperationId
from sso.observed import Observed
from sso.operation import Operation
from sso.steps import Step
from vendors.catalog import Catalog
from vendors.profile import Profile

__all__ = ["Held", "Tenant", "Work"]

_log = logging.getLogger(__name__)


class Tenant(Parts):
    """The tenant of one deployment, in Azure or beside the sandbox."""

    @classmethod
    def connect(cls, settings: Settings, catalog: Catalog | None = None) -> Self:
        """Open everything; nothing is sent yet. The only way to make a tenant."""
        credential = DefaultAzureCredential(require_envvar=True)
        graph = Graph(settings.graph_url, credential, settings.wait_scale)
        options = sdk_options()

        async def post(mime: bytes) -> None:
            await graph.send_mail(settings.mail_sender, mime)

        return cls(
            settings=settings,
            catalog=catalog or Catalog(),
            graph=graph,
            vault=Vault(settings.vault_url, credential, settings.wait_scale, **options),
            sts=Sts(settings.authority_url, settings.tenant_id, settings.graph_url),
            ledger=Ledger.connect(settings.storage, settings.table_endpoint, credential, **options),
            queues=Queues.connect(settings.storage, settings.queue_endpoint, credential, **options),
            mailer=Mailer(settings.mail_sender, post),
            credential=credential,
        )

    async def close(self) -> None:
        """Close every connection."""
        for part in (self.graph, self.vault, self.ledger, self.queues, self.credential):
            await part.close()

    async def observe(self, key: Key, profile: Profile, now: datetime, owner: ObjectId | None = None) -> Observed:
        """Read everything that a plan for this key is made from; `owner` is whom a request names."""
        return await observe(self, key, profile, now, owner)

    async def apply(self, step: Step, work: Work, now: datetime) -> Observed:  # noqa: C901, PLR0912  # one match, by design
        """Carry out one step and return what is there now, as the answers told it; safe to repeat."""
        _log.info("apply %s for %s in operation %s", step.name, work.request.key, work.operation.id)
        match step:
            case steps.Instantiate():
                return await directory.instantiate(self, step, work, now)
            case steps.Adopt():
                return await directory.adopt(self, step, work)
            case steps.RemoveTwin():
                return await directory.remove_twin(self, step, work)
            case steps.CreateApplication():
                return await directory.create_application(self, step, work)
            case steps.CreateServicePrincipal():
                return await directory.create_service_principal(self, step, work)
            case steps.ConfigureServicePrincipal():
                return await directory.configure_service_principal(self, step, work)
            case steps.ConfigureApplication():
                return await directory.configure_application(self, step, work)
            case steps.ChangeOwner():
                return await telling.change_owner(self, step, work)
            case steps.GrantConsent():
                return await directory.grant_consent(self, step, work)
            case steps.AddCertificate():
                return await credentials.add_certificate(self, step, work, now)
            case steps.ActivateCertificate():
                return await credentials.activate_certificate(self, step, work)
            case steps.MintSecret():
                return await credentials.mint_secret(self, step, work, now)
            case steps.PromoteSecret():
                return await credentials.promote_secret(self, step, work)
            case steps.CloseStaged():
                return await credentials.close_version(self, step.staged, work)
            case steps.CloseRemoved():
                return await credentials.close_version(self, step.version, work)
            case steps.DiscardSecret():
                return await credentials.discard_secret(self, step, work)
            case steps.Assign():
                return await directory.assign(self, step, work, now)
            case steps.RetireSecret():
                return await credentials.retire_secret(self, step, work, now)
            case steps.RetireCertificate():
                return await credentials.retire_certificate(self, step, work, now)
            case steps.Remind():
                return await telling.remind(self, work, now)
            case steps.WarnOfEnd():
                return await telling.warn_of_end(self, step, work, now)
            case steps.MailHandoff():
                return await telling.mail_handoff(self, work, now)
            case steps.MailCode():
                return await telling.mail_code(self, work, now)
            case steps.DisableSignIn():
                return await offboarding.disable_sign_in(self, step, work, now)
            case steps.DisableVersion():
                return await offboarding.switch_version(self, step.version, work, on=False)
            case steps.EnableVersion():
                return await offboarding.switch_version(self, step.version, work, on=True)
            case steps.TellOffboarded():
                return await offboarding.tell(self, step, work, now)
            case steps.DeleteApplication():
                return await offboarding.delete_application(self, work)
            case steps.RestoreApplication() | steps.RestoreServicePrincipal():
                return await offboarding.restore(self, step.object_id, work, now)
            case _:
                assert_never(step)

    async def apply_at_once(
        self, taken: tuple[Step, ...], work: Work, now: datetime
    ) -> tuple[Observed | GatehouseError, ...]:
        """Carry out steps at the same moment; of each what is there now, or why it was not carried out."""
        match taken:
            case (steps.ConfigureServicePrincipal() as principal, steps.ConfigureApplication() as application):
                both = directory.configure_both(self, principal, application, work)
            case (steps.MailHandoff(), steps.MailCode()):
                both = telling.mail_both(self, work, now)
            case _:
                return await attempted(*(self.apply(step, work, now) for step in taken))
        names = " and ".join(step.name for step in taken)
        _log.info("apply %s for %s in operation %s", names, work.request.key, work.operation.id)
        try:
            return await both
        except GatehouseError as error:  # before either was begun
            return error, error

    @asynccontextmanager
    async def leased(self, operation: Operation, now: datetime) -> AsyncIterator[Held | None]:
        """Hold the right to carry an operation on, and to write to its key.

        None while another run holds it: then the operation's message comes again.
        """
        loop = asyncio.get_running_loop()
        began = loop.time()
        name = operation.key.row if operation.key else operation.id
        async with leased(self, name, lambda: now + timedelta(seconds=loop.time() - began)) as held:
            if held is None:
                await self.queues.send(operation.queue, operation.id, delay=BUSY_PAUSE * self.settings.wait_scale)
            yield held

    async def reserve(self, writes: int, now: datetime, *, urgent: bool = False, in_line: bool = False) -> None:
        """Return when so many writes may be made within the shared budget; raises `NotReady` where that is not soon."""
        await reserve(self, writes, now, urgent=urgent, in_line=in_line)

    async def open_batches(
        self, operation: OperationId, changes: Iterable[Change], now: datetime, *, urgent: bool = False
    ) -> None:
        """Write the batches of an operation that carry out these changes; safe to repeat."""
        await access.open_batches(self, operation, changes, now, urgent=urgent)

    async def send_batches(
        self, operation: OperationId, now: datetime, *, overdue: timedelta = timedelta(0)
    ) -> datetime:
        """Send the message of every open batch that should have come this long ago; returns when the last is due."""
        return await access.send_batches(self, operation, now, overdue=overdue)

    async def carry_out(self, batch: Batch) -> list[Outcome]:
        """One attempt at what is open in a batch."""
        return await access.carry_out(self, batch)

    async def release(self, operation: OperationId) -> tuple[OperationId, ...]:
        """Let everything go on that was stopped with an operation; returns which operations those are."""
        found = [await braking.release_brake(self, kind, operation) for kind in get_args(brake.Kind)]
        return tuple(released for held in found for released in held)

    async def settle(self, operation: OperationId, now: datetime, written: Operation | None = None) -> None:
        """Move an operation whose own run is through to where batches and acknowledgement have brought it."""
        await settle(self, operation, now, written)
