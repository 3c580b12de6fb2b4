"""SmartTrace, by its guide: vendor-specific callback per InstanceName, one secret, entered by our administrator."""

from collections.abc import Mapping

from sandbox.relying_parties.openid_connect import OidcSide

# SmartTrace knows the names of its own customers; the hand-off repeats the one it is for under the parameter's title.
INSTANCE_NAME = "SmartTrace instance name"
CALLBACK = "https://api.smarttrace.ai/v1/auth/callback/azure/{instance_name}"


class SmartTrace(OidcSide):
    """SmartTrace's Azure Active Directory integration."""

    name = "SmartTrace"
    host = "api.smarttrace.ai"
    tenant_label = "TENANT ID"
    client_label = "APPLICATION ID"
    secret_label = "APPLICATION (CLIENT) SECRET"  # noqa: S105 (a label)
    also = (INSTANCE_NAME,)
    # The guide names no address at which people begin; this one stands for it.
    start_path = "/v1/auth/login/azure"

    def redirect_uri(self, told: Mapping[str, str]) -> str:
        """The callback of the customer's own instance."""
        return CALLBACK.format(instance_name=told[INSTANCE_NAME.casefold()])
