"""What a tenant is made of: one client per service, opened once, and what every story needs of them together."""

import asyncio
from dataclasses import dataclass

from azure.identity.aio import DefaultAzureCredential

from clients.envelope import enclosed
from clients.graph import Graph
from clients.ledger import Ledger
from clients.mail import Mailer, Ready
from clients.queues import Queues
from clients.render import render_mail
from clients.settings import Settings
from clients.sts import Sts
from clients.vault import Vault
from sso.brake import Limit
from sso.deployment import Deployment
from sso.errors import NotReady, Reason, Refused, TenantError
from sso.letters import Letter, Organisation
from sso.model import Application, ObjectId, Principal, ServicePrincipal
from sso.observed import Observed
from sso.operation import Operation
from sso.request import Onboarding
from vendors.catalog import Catalog, UnknownVendorError
from vendors.parsing import ProfileError
from vendors.profile import Profile

READS = 5  # good, or empty, reads in a row before they are believed (graph-contract 4)
READ_PAUSE = 5.0  # seconds between two such reads
RACES = 20  # a row that changes more often than this while it is written has other trouble


@dataclass(frozen=True)
class Work:
    """One operation in hand: what it wants and what is there."""

    operation: Operation
    request: Onboarding
    profile: Profile
    observed: Observed

    @property
    def application(self) -> Application:
        """The application, which a step before made; raises `NotReady` while no replica shows it."""
        if self.observed.application is None:
            msg = f"The application of {self.request.key} is not in every replica yet."
            raise NotReady(msg, retry_after=READ_PAUSE)
        return self.observed.application

    @property
    def service_principal(self) -> ServicePrincipal:
        """The service principal; raises `NotReady` while no replica shows it."""
        if self.observed.service_principal is None:
            msg = f"The service principal of {self.request.key} is not in every replica yet."
            raise NotReady(msg, retry_after=READ_PAUSE)
        return self.observed.service_principal


@dataclass(frozen=True)
class Parts:
    """Everything outside, for one deployment; the sandbox and Azure are reached by settings alone."""

    settings: Settings
    catalog: Catalog
    graph: Graph
    vault: Vault
    sts: Sts
    ledger: Ledger
    queues: Queues
    mailer: Mailer
    credential: DefaultAzureCredential

    @property
    def deployment(self) -> Deployment:
        """What the settings add to every plan."""
        return Deployment(
            tenant_id=self.settings.tenant_id,
            authority_url=self.settings.authority_url,
            operators=self.settings.operators,
            allow_plain_secrets=self.settings.allow_plain_secrets,
            graph_url=self.settings.graph_url,
            offboard_days=self.settings.offboard_days,
            freeze=self.settings.freeze,
        )

    @property
    def brake_limit(self) -> Limit:
        """How much may be taken away in a day before somebody is asked."""
        return Limit(self.settings.brake_share, self.settings.brake_floor)

    @property
    def organisation(self) -> Organisation:
        """Who we are in mails and on pages."""
        settings = self.settings
        return Organisation(settings.organisation, settings.mail_sender, settings.tenant_id, settings.operators)

    def profile(self, vendor: str) -> Profile:
        """The profile of a vendor; raises `Refused` (404) without one, `TenantError` where its file is broken."""
        try:
            return self.catalog.load(vendor)
        except UnknownVendorError as error:
            raise Refused(Reason("vendor", str(error)), status=404) from None
        except ProfileError as error:
            msg = f"The profile of '{vendor}' is broken; its maintainer must mend it. {error}"
            raise TenantError(msg) from None

    async def wait(self, seconds: float) -> None:
        """Wait, in the deployment's measure."""
        await asyncio.sleep(seconds * self.settings.wait_scale)

    async def find_principal(self, object_id: ObjectId) -> Principal | None:
        """The user or group of an object ID, if it is still there."""
        return await self.graph.principal(object_id)

    async def managed_count(self) -> int:
        """How many applications are ours, and so how many credentials are in use."""
        return len(await self.graph.managed())

    async def mail(self, letter: Letter) -> None:
        """Put a letter into words and send it."""
        await self.mailer.post(self.ready(letter))

    def ready(self, letter: Letter) -> Ready:
        """Seal what a letter holds sealed, and put it into words; `mailer.post` sends it."""
        return self.mailer.ready(render_mail(enclosed(letter)))
