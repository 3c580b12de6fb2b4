"""A tenant in which a vendor is onboarded by hand, as far as the mails, with a host that serves its hand-off's page."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from sandbox.relying_parties import clicktime, ilogon_mha, thoropass
from tests.sandbox.hand_made import HandMadeTenant, Made, hand_made_tenant
from tests.sandbox.handoff_desk import OWNER, Desk, Host

SECRET = "canary~client.secret"


@dataclass
class Contoso(HandMadeTenant):
    """A tenant with a host that serves hand-off pages."""

    host: Host

    def onboard(self, vendor: str, instance: str = "default") -> tuple[Made, Desk]:
        """Do by hand what an onboarding of this vendor does, as far as the mails."""
        made, desk = {
            "clicktime": self._clicktime,
            "hellotracks": self._hellotracks,
            "ilogon_mha": self._ilogon_mha,
            "smarttrace": self._smarttrace,
            "thoropass": self._thoropass,
        }[vendor](instance)
        desk.instance = instance
        self.assign(made, self.user_id())
        self.host.desks[desk.token] = desk
        return made, desk

    def deliver(self, desk: Desk) -> None:
        """Send the hand-off's mails."""
        desk.deliver(self.tenant, self.host.url)

    def _clicktime(self, _instance: str) -> tuple[Made, Desk]:
        made = self.add("ClickTime", reply_urls=clicktime.REPLY_URLS, identifiers=(clicktime.ENTITY_ID,))
        certificate = self.add_certificate(made).certificate.public_bytes(Encoding.PEM).decode()
        values = {"Identity Provider Endpoint": f"{self.root}/saml2"}
        return made, Desk("ClickTime", OWNER, values, attached={"X.509 Certificate": certificate})

    def _thoropass(self, _instance: str) -> tuple[Made, Desk]:
        made = self.add("Thoropass", reply_urls=(thoropass.REPLY_URL,), identifiers=(thoropass.ENTITY_ID,))
        made.service_principal["loginUrl"] = "https://login.thoropass.com"
        self.add_certificate(made)
        address = f"{self.root}/federationmetadata/2007-06/federationmetadata.xml?appid={made.client_id}"
        return made, Desk("Thoropass", "support@thoropass.com", {"App Federation Metadata Url": address})

    def _hellotracks(self, _instance: str) -> tuple[Made, Desk]:
        made = self._oidc("Hellotracks", "https://auth.hellotracks.com/v1/callback")
        return made, Desk("Hellotracks", OWNER, {"Client ID": made.client_id}, {"Client Secret": SECRET})

    def _smarttrace(self, instance: str) -> tuple[Made, Desk]:
        made = self._oidc("SmartTrace", f"https://api.smarttrace.ai/v1/auth/callback/azure/contoso-{instance}")
        values = {"SmartTrace instance name": f"contoso-{instance}", "APPLICATION ID": made.client_id}
        return made, Desk("SmartTrace", OWNER, values, {"APPLICATION (CLIENT) SECRET": SECRET})

    def _ilogon_mha(self, _instance: str) -> tuple[Made, Desk]:
        made = self._oidc("iLOGON_MHA", ilogon_mha.REDIRECT_URI)
        values = {"Application ID": made.client_id}
        return made, Desk("iLOGON_MHA", "support@keyfields.com", values, {"Client Secret": SECRET})

    def _oidc(self, name: str, redirect_uri: str) -> Made:
        made = self.add(name, reply_urls=(redirect_uri,))
        self.add_secret(made, SECRET)
        self.consent(made)
        return made


@pytest.fixture(scope="module")
async def running_vendors(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Contoso]:
    """The tenant and the host of the pages."""
    folder: Path = tmp_path_factory.mktemp("authority")
    async with hand_made_tenant(folder) as made:
        host = Host()
        await host.start(made.server_tls)
        yield Contoso(**vars(made), host=host)
        await host.stop()


@pytest.fixture
async def contoso(running_vendors: Contoso) -> Contoso:
    """The tenant as seeded, the vendors knowing nobody."""
    running_vendors.tenant.vendors = running_vendors.vendors
    await running_vendors.tenant.reset()
    return running_vendors
