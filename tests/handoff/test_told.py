"""What each vendor is told, and when that is news."""

import base64
import re
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sso.codes import CODE_ALPHABET, reference_of
from sso.handoff import Handoff, IdentityProvider, admin_consent_url, facts_of, handoff_of, one_line, pem, public_values
from sso.model import ClientId, ObjectId, key_of
from tests.handoff.given import CATALOG, CERTIFICATE, CLIENT_ID, OWNER, PROVIDER, TENANT_ID, handoff

AUTHORITY = f"https://login.microsoftonline.com/{TENANT_ID}"
METADATA = f"{AUTHORITY}/federationmetadata/2007-06/federationmetadata.xml?appid={CLIENT_ID}"

TOLD = {
    "hellotracks": {"Tenant ID": TENANT_ID, "Client ID": CLIENT_ID},
    "smarttrace": {"APPLICATION ID": CLIENT_ID, "TENANT ID": TENANT_ID},
    "ilogon_mha": {"Tenant ID": TENANT_ID, "Application ID": CLIENT_ID},
    "thoropass": {"App Federation Metadata Url": METADATA},
    "clicktime": {"Identity Provider Endpoint": f"{AUTHORITY}/saml2", "X.509 Certificate": pem(CERTIFICATE)},
}


@pytest.mark.parametrize("slug", TOLD)
def test_each_vendor_is_told_its_values_in_its_own_words(slug: str) -> None:
    """Every public value stands beside the vendor's own field name, and no other is told."""
    told = handoff(slug)
    assert {value.label: value.text for value in told.values} == TOLD[slug]
    assert (told.secret_label is None) == (slug in {"thoropass", "clicktime"})


def test_every_value_a_profile_may_deliver() -> None:
    """The addresses are those of the tenant and the application (graph-contract section 1)."""
    assert public_values(PROVIDER) == {
        "tenant_id": TENANT_ID,
        "client_id": CLIENT_ID,
        "metadata_url": METADATA,
        "login_url": f"{AUTHORITY}/saml2",
        "logout_url": f"{AUTHORITY}/saml2",
        "entra_identifier": f"https://sts.windows.net/{TENANT_ID}/",
        "discovery_url": f"{AUTHORITY}/v2.0/.well-known/openid-configuration",
        "user_access_url": f"https://launcher.myapps.microsoft.com/api/signin/{CLIENT_ID}?tenantId={TENANT_ID}",
        "certificate_base64": pem(CERTIFICATE),
        "certificate_pem": pem(CERTIFICATE),
    }
    assert admin_consent_url(PROVIDER) == f"{AUTHORITY}/adminconsent?client_id={CLIENT_ID}"


def test_the_issuer_in_china_is_another() -> None:
    """The Microsoft Entra Identifier has the host of its cloud."""
    china = replace(PROVIDER, authority_url="https://login.partner.microsoftonline.cn")
    assert public_values(china)["entra_identifier"] == f"https://sts.chinacloudapi.cn/{TENANT_ID}/"


@given(st.binary(min_size=1, max_size=2000))
def test_a_certificate_is_armoured(der: bytes) -> None:
    """The armour holds the bytes in lines of 64 characters (RFC 7468)."""
    first, *body, last, end = pem(der).split("\n")
    assert (first, last, end) == ("-----BEGIN CERTIFICATE-----", "-----END CERTIFICATE-----", "")
    assert base64.b64decode("".join(body)) == der
    assert all(len(line) == 64 for line in body[:-1])


def test_a_certificate_that_does_not_exist_is_not_told() -> None:
    """A hand-off that must deliver a certificate waits until there is one."""
    bare = IdentityProvider(TENANT_ID, PROVIDER.authority_url, CLIENT_ID)
    with pytest.raises(ValueError, match="certificate_base64"):
        handoff_of(
            CATALOG.load("clicktime"),
            key_of("clicktime", "default"),
            bare,
            owner=OWNER.object_id,
            parameters={},
            credential=None,
        )


def test_try_it_leads_nowhere_where_the_application_is_hidden() -> None:
    """An OIDC vendor without a sign-on URL has no address to try."""
    assert handoff("smarttrace").try_url is None
    assert handoff("clicktime").try_url is not None


def test_parameters_are_told_by_their_titles() -> None:
    """People read a parameter's title, not its placeholder."""
    assert handoff("smarttrace", InstanceName="contoso").parameters == (("SmartTrace instance name", "contoso"),)


NEWS: dict[str, Handoff] = {
    "another instance": handoff("smarttrace", "emea"),
    "another secret": replace(handoff(), credential="other"),
    "another owner": replace(handoff(), owner=ObjectId("other")),
    "another contact": replace(handoff(), contact="other@vendor.com"),
    "another value": replace(handoff(), values=handoff().values[1:]),
    "another step": replace(handoff(), steps=("Other.",)),
    "another parameter": handoff("smarttrace", InstanceName="other"),
    "another end": replace(handoff(), valid_days=8),
    "another application": handoff_of(
        CATALOG.load("smarttrace"),
        key_of("smarttrace", "default"),
        replace(PROVIDER, client_id=ClientId("other")),
        owner=OWNER.object_id,
        parameters={},
        credential=handoff().credential,
    ),
}


@pytest.mark.parametrize("news", NEWS)
def test_other_facts_are_news(news: str) -> None:
    """Whatever a mail tells differently gives it another fingerprint and another reference."""
    assert facts_of(NEWS[news]) != facts_of(handoff())
    assert reference_of(facts_of(NEWS[news])) != reference_of(facts_of(handoff()))


def test_the_same_facts_are_no_news() -> None:
    """The same hand-off has the same reference each time, in the form that people read out."""
    assert facts_of(handoff()) == facts_of(handoff())
    assert re.fullmatch(f"GH-[{CODE_ALPHABET}]{{8}}", reference_of(facts_of(handoff())))


@given(st.text(max_size=500))
def test_one_line_is_one_line(text: str) -> None:
    """Whatever a request holds becomes one bounded line without anything that breaks, hides or reverses text."""
    line = one_line(text)
    assert len(line) <= 200
    assert len(line.splitlines()) <= 1
    assert not set("\r\n\t\x00\x1b\u200b\u202e\u2028") & set(line)
    assert one_line(line) == line
