"""iLOGON_MHA, by its guide: the support team enters tenant ID, application ID and client secret on its side."""

from collections.abc import Mapping

from sandbox.relying_parties.openid_connect import OidcSide

# Microsoft's guide says that the gallery fills the redirect URI in and does not print it; this one stands for it.
REDIRECT_URI = "https://mha.keyfields.com/ilogon/signin-oidc"


class IlogonMha(OidcSide):
    """iLOGON_MHA's OpenID Connect federation."""

    name = "iLOGON_MHA"
    host = "mha.keyfields.com"
    contact = "support@keyfields.com"
    tenant_label = "Tenant ID"
    client_label = "Application ID"
    secret_label = "Client Secret"  # noqa: S105 (a label)
    start_path = "/ilogon/login"

    def redirect_uri(self, told: Mapping[str, str]) -> str:
        """The vendor's own address, the same as in its gallery template."""
        del told
        return REDIRECT_URI
