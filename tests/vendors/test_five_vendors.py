"""The five vendors, compared with what their guides say."""

import json
import tomllib
from pathlib import Path

import jsonschema
import pytest

from vendors.catalog import Catalog
from vendors.profile import GallerySource, OidcProfile, RegistrationSource, SamlProfile
from vendors.schema import PROFILE_SCHEMA
from vendors.slug import VendorSlug

ROOT = Path(__file__).parents[2]
FIVE = ("clicktime", "hellotracks", "ilogon_mha", "smarttrace", "thoropass")

DELIVERED = {
    "clicktime": ("owner", {"login_url": "Identity Provider Endpoint", "certificate_base64": "X.509 Certificate"}),
    "hellotracks": (
        "owner",
        {"tenant_id": "Tenant ID", "client_id": "Client ID", "client_secret": "Client Secret"},
    ),
    "ilogon_mha": (
        "support@keyfields.com",
        {"tenant_id": "Tenant ID", "client_id": "Application ID", "client_secret": "Client Secret"},
    ),
    "smarttrace": (
        "owner",
        {"client_id": "APPLICATION ID", "tenant_id": "TENANT ID", "client_secret": "APPLICATION (CLIENT) SECRET"},
    ),
    "thoropass": ("support@thoropass.com", {"metadata_url": "App Federation Metadata Url"}),
}


def test_the_catalogue_holds_the_five_vendors() -> None:
    """Every release onboards these five, and each of their files is a valid profile."""
    catalog = Catalog()
    assert set(FIVE) <= set(catalog.slugs())
    assert [catalog.load(slug).name for slug in FIVE] == [
        "ClickTime",
        "Hellotracks",
        "iLOGON_MHA",
        "SmartTrace",
        "Thoropass",
    ]


@pytest.mark.parametrize("slug", FIVE)
def test_each_value_goes_to_the_addressee_and_into_the_field_of_the_guide(slug: str) -> None:
    """The hand-off names every delivered value as the vendor's own form does, in its order."""
    handoff = Catalog().load(slug).handoff
    assert (handoff.contact or handoff.to, dict(handoff.fields)) == DELIVERED[slug]
    assert list(handoff.deliver) == list(DELIVERED[slug][1])


def test_clicktime_has_one_fixed_identifier_and_two_reply_urls() -> None:
    """ClickTime is one instance per tenant, begun by us, with its people added by hand."""
    profile = Catalog().load("clicktime")
    assert isinstance(profile, SamlProfile)
    assert profile.saml.identifiers == ("https://app.clicktime.com/sp/",)
    assert profile.saml.reply_urls == (
        "https://app.clicktime.com/Login/",
        "https://app.clicktime.com/App/Login/Consume.aspx",
    )
    assert (profile.instances, profile.saml.initiated_by, profile.saml.sign_on_url) == ("one", "idp", None)
    assert profile.people.provisioning == "manual"
    assert "full name and email address" in profile.handoff.steps[-1]


def test_smarttrace_carries_the_instance_name_in_both_urls() -> None:
    """SmartTrace's redirect and logout URL hold the instance name that a request supplies."""
    profile = Catalog().load("smarttrace")
    assert isinstance(profile, OidcProfile)
    assert profile.oidc.redirect_uris == ("https://api.smarttrace.ai/v1/auth/callback/azure/{InstanceName}",)
    assert (
        profile.oidc.front_channel_logout_url
        == "https://api.smarttrace.ai/v1/auth/callback/azure-logout/{InstanceName}"
    )
    assert profile.parameters["InstanceName"].source == "request"
    assert (profile.instances, profile.source) == ("many", GallerySource(gallery="SmartTrace"))


def test_hellotracks_is_an_ordinary_registration_that_begins_at_the_vendor() -> None:
    """Hellotracks is no gallery application; only assigned people come in, and the vendor makes their accounts."""
    profile = Catalog().load("hellotracks")
    assert isinstance(profile, OidcProfile)
    assert profile.source == RegistrationSource(registration=True)
    assert profile.oidc.redirect_uris == ("https://auth.hellotracks.com/v1/callback",)
    assert profile.oidc.sign_on_url is None
    assert (profile.people.assignment_required, profile.people.provisioning) == (True, "just-in-time")


def test_thoropass_takes_its_urls_from_the_template() -> None:
    """Thoropass begins on either side, and its identifier and reply URL come with the gallery's application."""
    profile = Catalog().load("thoropass")
    assert isinstance(profile, SamlProfile)
    assert (profile.saml.identifiers, profile.saml.reply_urls) == ("template", "template")
    assert (profile.saml.sign_on_url, profile.saml.initiated_by) == ("https://login.thoropass.com", "both")
    assert profile.people.provisioning == "just-in-time"


def test_ilogon_mha_takes_its_redirect_uri_from_the_template() -> None:
    """iLOGON_MHA's redirect URI comes with the gallery's application."""
    profile = Catalog().load("ilogon_mha")
    assert isinstance(profile, OidcProfile)
    assert (profile.oidc.redirect_uris, profile.source) == ("template", GallerySource(gallery="iLOGON_MHA"))


def test_the_published_schema_is_the_one_of_the_code() -> None:
    """An editor is told the same fields that the loader knows; `python -m vendors.schema` writes the file anew."""
    assert json.loads((ROOT / "docs" / "vendor-profile.schema.json").read_text()) == PROFILE_SCHEMA


@pytest.mark.parametrize("slug", FIVE)
def test_each_file_fits_the_published_schema_and_names_it(slug: VendorSlug) -> None:
    """An editor that follows a profile's first line finds the schema and no fault."""
    text = (ROOT / "vendors" / f"{slug}.toml").read_text()
    named = text.splitlines()[0].removeprefix("#:schema ")
    assert (ROOT / "vendors" / named).resolve() == ROOT / "docs" / "vendor-profile.schema.json"
    jsonschema.Draft202012Validator(PROFILE_SCHEMA).validate(tomllib.loads(text))


def test_the_published_schema_refuses_a_field_of_the_other_protocol() -> None:
    """The schema is a valid one and no rubber stamp: a SAML table in an OIDC profile is a fault in the editor too."""
    tables = tomllib.loads((ROOT / "vendors" / "smarttrace.toml").read_text())
    jsonschema.Draft202012Validator.check_schema(PROFILE_SCHEMA)
    tables["saml"] = {"identifiers": ["urn:x"], "reply_urls": "template", "initiated_by": "both"}
    assert not jsonschema.Draft202012Validator(PROFILE_SCHEMA).is_valid(tables)
