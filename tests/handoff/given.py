"""What the tests of hand-offs start from: our organisation, one owner, and hand-offs of the real profiles."""

from dataclasses import replace
from datetime import UTC, datetime

from sso.codes import token_from
from sso.handoff import Handoff, IdentityProvider, handoff_of
from sso.letters import Organisation
from sso.model import ClientId, ObjectId, OperationId, Principal, key_of
from sso.page import Page, new_page, with_code
from vendors.catalog import Catalog

NOW = datetime(2026, 9, 1, 8, 30, tzinfo=UTC)
TENANT_ID = "5c0a9cc4-1ba3-4b5e-9f3f-0d1f9c4f5b11"
CLIENT_ID = ClientId("b7e1c7a2-64d2-4b0e-8ee0-3a2f0a1f77d3")
CERTIFICATE = bytes(range(256)) * 3  # its bytes are only armoured here, never parsed
PROVIDER = IdentityProvider(TENANT_ID, "https://login.microsoftonline.com", CLIENT_ID, CERTIFICATE)
ORGANISATION = Organisation("Contoso", "gatehouse@contoso.com", TENANT_ID, "identity-team@contoso.com")
OWNER = Principal(ObjectId("0d0c5f0e-3d2a-4a52-9a59-6c1c2a9f6a01"), "user", "App Owner", "app-owner@contoso.com")
TOKEN = token_from(bytes(32))
CODE = "22222-22222"  # every weighted sum of zeros is 0
CATALOG = Catalog()


def handoff(slug: str = "smarttrace", instance: str = "default", **parameters: str) -> Handoff:
    """A hand-off of a vendor as every release ships it."""
    return handoff_of(
        CATALOG.load(slug),
        key_of(slug, instance),
        PROVIDER,
        owner=OWNER.object_id,
        parameters=parameters,
        credential="4f1e0a35-8d0f-4a53-8f0f-1f9a4f4e9d55",
    )


def page(told: Handoff | None = None) -> Page:
    """An open page whose code is CODE; with a secret unless another hand-off is given."""
    opened = new_page(told or handoff(), OperationId("operation"), TOKEN, NOW)
    return replace(with_code(opened, CODE, "salt", NOW), etag="1")
