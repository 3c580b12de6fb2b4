"""Hellotracks, by its guide: one callback for everyone, the company code tells customers apart."""

from collections.abc import Mapping
from typing import Any

from sandbox.relying_parties.openid_connect import OidcSide
from sandbox.wire import Reply


class Hellotracks(OidcSide):
    """Hellotracks' Single Sign-On section, Azure AD as the identity provider."""

    name = "Hellotracks"
    host = "auth.hellotracks.com"
    tenant_label = "Tenant ID"
    client_label = "Client ID"
    secret_label = "Client Secret"  # noqa: S105 (a label)
    # "Enter either an existing Hellotracks username or the company code": the page's address is not published.
    start_path = "/v1/login"

    def redirect_uri(self, told: Mapping[str, str]) -> str:
        """The fixed callback of the guide."""
        del told
        return "https://auth.hellotracks.com/v1/callback"

    def welcome(self, instance: str, claims: Mapping[str, Any]) -> Reply:
        """Create whoever is new, with the worker role."""
        return self.admit(instance, self.person_of(claims), claims, role="worker")
