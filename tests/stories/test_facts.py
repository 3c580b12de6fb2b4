"""What stands in tenant, vault and mails after each onboarding, exactly as profile and guide say."""

import base64
import hashlib
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from sandbox.first_party import DELEGATED_SCOPES
from sandbox.gallery import ILOGON_MHA_REDIRECT_URI, THOROPASS_IDENTIFIER, THOROPASS_REPLY_URL
from tests.stories.conftest import Story
from tests.stories.mails import codes, handoffs, link_of

DEFAULT_ACCESS = "00000000-0000-0000-0000-000000000000"
GRAPH = "00000003-0000-0000-c000-000000000000"
OWNER, OPERATORS, SENDER = "app-owner@contoso.com", "identity-team@contoso.com", "gatehouse@contoso.com"
SCOPES = ("openid", "profile", "email")


@dataclass(frozen=True)
class Facts:
    """What the guide of one vendor says, and what follows from it."""

    name: str
    protocol: str
    reply_urls: list[str]
    to: str
    told: list[str]
    identifiers: list[str] = field(default_factory=list)
    sign_on_url: str | None = None
    logout_url: str | None = None
    role: str | None = "User"
    parameter: str | None = None
    secret: str | None = None  # the vendor's field for it


FACTS = {
    "clicktime": Facts(
        name="ClickTime",
        protocol="saml",
        identifiers=["https://app.clicktime.com/sp/"],
        reply_urls=["https://app.clicktime.com/Login/", "https://app.clicktime.com/App/Login/Consume.aspx"],
        to=OWNER,
        told=["Identity Provider Endpoint", "X.509 Certificate"],
    ),
    "hellotracks": Facts(
        name="Hellotracks",
        protocol="oidc",
        reply_urls=["https://auth.hellotracks.com/v1/callback"],
        role=None,
        to=OWNER,
        told=["Tenant ID", "Client ID"],
        secret="Client Secret",
    ),
    "ilogon_mha": Facts(
        name="iLOGON_MHA",
        protocol="oidc",
        reply_urls=[ILOGON_MHA_REDIRECT_URI],
        to="support@keyfields.com",
        told=["Tenant ID", "Application ID"],
        secret="Client Secret",
    ),
    "smarttrace": Facts(
        name="SmartTrace",
        protocol="oidc",
        reply_urls=["https://api.smarttrace.ai/v1/auth/callback/azure/contoso"],
        logout_url="https://api.smarttrace.ai/v1/auth/callback/azure-logout/contoso",
        parameter="gatehouse:parameter:InstanceName=contoso",
        to=OWNER,
        told=["APPLICATION ID", "TENANT ID", "SmartTrace instance name"],
        secret="APPLICATION (CLIENT) SECRET",
    ),
    "thoropass": Facts(
        name="Thoropass",
        protocol="saml",
        identifiers=[THOROPASS_IDENTIFIER],
        reply_urls=[THOROPASS_REPLY_URL],
        sign_on_url="https://login.thoropass.com",
        to="support@thoropass.com",
        told=["App Federation Metadata Url"],
    ),
}
Told = tuple[str, Story]


def test_names_and_addresses_are_the_guides(story: Told) -> None:
    """Display name, unique name, identifiers, reply URLs in order and logout URL are what the guide asks for."""
    vendor, seen = story
    facts, application = FACTS[vendor], seen.application
    assert application["displayName"] == facts.name
    assert application["uniqueName"] == f"gatehouse-{vendor}-default"
    assert application["identifierUris"] == facts.identifiers
    assert application["web"]["redirectUris"] == facts.reply_urls
    assert application["web"]["logoutUrl"] == facts.logout_url
    assert application["signInAudience"] == "AzureADMyOrg"


def test_sign_on_is_open_to_assigned_people_only(story: Told) -> None:
    """The service principal has the profile's mode and sign-on URL, demands an assignment and is enabled."""
    vendor, seen = story
    facts, service_principal = FACTS[vendor], seen.service_principal
    assert service_principal["preferredSingleSignOnMode"] == facts.protocol
    assert service_principal["loginUrl"] == facts.sign_on_url
    assert service_principal["appRoleAssignmentRequired"] is True
    assert service_principal["accountEnabled"] is True
    assert service_principal["displayName"] == facts.name


def test_people_get_the_role_of_the_application(story: Told) -> None:
    """Everybody of the request has one role: `User`, or default access where the application publishes none."""
    vendor, seen = story
    roles = {role["displayName"]: role["id"] for role in seen.service_principal["appRoles"]}
    expected = roles[role] if (role := FACTS[vendor].role) else DEFAULT_ACCESS
    assert {entry["principalDisplayName"] for entry in seen.assignments} == {"B.Simon", "Sales"}
    assert [entry["appRoleId"] for entry in seen.assignments] == [expected, expected]


def test_tags_say_whose_application_it_is(story: Told) -> None:
    """Application and service principal carry marker and key; the application owner and parameters as well."""
    vendor, seen = story
    facts = FACTS[vendor]
    key = {"gatehouse", f"gatehouse:{vendor}/default"}
    parameters = {facts.parameter} if facts.parameter else set()
    owner = f"gatehouse:owner:{seen.users[OWNER]}"
    assert set(seen.application["tags"]) == {*key, owner, *parameters}
    shown = {"WindowsAzureActiveDirectoryIntegratedApp"} | ({"HideApp"} if facts.protocol == "oidc" else set())
    assert set(seen.service_principal["tags"]) == key | shown


def test_published_scopes_speak_of_the_final_name(story: Told) -> None:
    """What people read on consent pages names the application, and never its temporary name."""
    vendor, seen = story
    scopes = seen.application["api"]["oauth2PermissionScopes"]
    texts = [text for scope in scopes for name, text in scope.items() if "onsent" in name]
    assert all(FACTS[vendor].name in text and "gatehouse" not in text for text in texts)
    assert bool(scopes) is (vendor != "hellotracks")


def test_everyone_consents_to_the_profiles_scopes_and_to_nothing_else(story: Told) -> None:
    """An OIDC application declares the profile's scopes, and one grant gives exactly these for everyone."""
    vendor, seen = story
    if FACTS[vendor].protocol == "saml":
        assert (seen.grants, seen.application["requiredResourceAccess"]) == ((), [])
        return
    access = [{"id": DELEGATED_SCOPES[scope][0], "type": "Scope"} for scope in SCOPES]
    assert seen.application["requiredResourceAccess"] == [{"resourceAppId": GRAPH, "resourceAccess": access}]
    assert len(seen.grants) == 1
    grant = seen.grants[0]
    assert (grant["consentType"], grant["principalId"]) == ("AllPrincipals", None)
    assert set(grant["scope"].split()) == set(SCOPES)


def test_signing_certificate_is_ours_active_published_and_ends_in_three_years(story: Told) -> None:
    """A SAML application has one certificate with our name, which signs, is in the metadata and lives three years."""
    vendor, seen = story
    service_principal = seen.service_principal
    if FACTS[vendor].protocol == "oidc":
        assert service_principal["preferredTokenSigningKeyThumbprint"] is None
        assert service_principal["notificationEmailAddresses"] == []
        return
    assert service_principal["notificationEmailAddresses"] == [OPERATORS]
    verify = [entry for entry in service_principal["keyCredentials"] if entry["usage"] == "Verify"]
    assert len(verify) == 1
    certificate = x509.load_der_x509_certificate(base64.b64decode(verify[0]["key"]))
    der = base64.b64decode(verify[0]["key"])
    thumbprint = hashlib.sha1(der).hexdigest().upper()
    assert certificate.subject.rfc4514_string() == f"CN=gatehouse-{vendor}-default"
    assert service_principal["preferredTokenSigningKeyThumbprint"] == thumbprint
    assert base64.b64encode(der).decode() in seen.metadata
    life = certificate.not_valid_after_utc - datetime.now(UTC)
    assert timedelta(days=1094) < life <= timedelta(days=1095)


def test_client_secret_is_staged_then_promoted_with_its_end(story: Told) -> None:
    """The vault holds a disabled staged version without an end and the proved one with key, client, source and end."""
    vendor, seen = story
    if FACTS[vendor].protocol == "saml":
        assert (seen.vault, seen.application["passwordCredentials"]) == ({}, [])
        return
    name = f"gatehouse-{vendor.replace('_', '--')}-default-client-secret"
    (password,) = seen.application["passwordCredentials"]
    assert set(seen.vault) == {name, f"{name}-staged"}
    (staged,), (current,) = seen.vault[f"{name}-staged"]["versions"], seen.vault[name]["versions"]
    tags = {"key-id": password["keyId"], "client-id": seen.application["appId"]}
    assert (staged["enabled"], staged["exp"], staged["tags"]) == (False, None, tags)
    assert (current["enabled"], current["tags"]) == (True, {**tags, "staged-version": staged["version"]})
    ends = datetime.fromisoformat(password["endDateTime"])
    assert current["exp"] == int(ends.timestamp())
    assert timedelta(days=179) < ends - datetime.now(UTC) <= timedelta(days=180)
    assert password["displayName"].startswith(f"gatehouse-{vendor}-default ")


def test_handoff_goes_to_whom_the_profile_names(story: Told) -> None:
    """One mail with the link; a vendor's goes to its contact, with the owner in Cc and as the one to answer."""
    vendor, seen = story
    facts = FACTS[vendor]
    (mail,) = handoffs(seen.mails)
    known = [OWNER] if facts.to != OWNER else []
    assert (mail["from"], mail["to"], mail["cc"], mail["reply_to"]) == (SENDER, [facts.to], known, known)
    assert facts.name in mail["subject"]
    assert link_of(mail).startswith(f"{seen.urls.host}/api/handoffs/")


def test_handoff_tells_every_value_beside_its_field_and_never_the_secret(story: Told) -> None:
    """Each public value stands beside the vendor's own field name in both bodies; the secret's field stands empty."""
    vendor, seen = story
    facts = FACTS[vendor]
    (mail,) = handoffs(seen.mails)
    lines = dict(line.strip().split(": ", 1) for line in mail["text"].splitlines() if ": " in line)
    assert set(facts.told) <= set(lines)
    assert all(label in mail["html"] for label in facts.told)
    assert lines.get("Tenant ID", lines.get("TENANT ID")) == seen.urls.env["GATEHOUSE_TENANT_ID"]
    if facts.secret:
        assert facts.secret in mail["text"]
        assert facts.secret not in lines


def test_code_travels_another_way_than_the_link(story: Told) -> None:
    """One more mail holds the code, goes to the owner alone, and no mail holds both link and code."""
    _, seen = story
    (mail,) = codes(seen.mails)
    (handoff,) = handoffs(seen.mails)
    assert (mail["to"], mail["cc"], mail["attachments"]) == ([OWNER], [], [])
    assert mail is not handoff
    reference = mail["headers"]["X-Gatehouse-Reference"]
    assert reference == handoff["headers"]["X-Gatehouse-Reference"]
    assert f"[{reference}]" in mail["subject"]
    assert f"[{reference}]" in handoff["subject"]
    assert len(seen.mails) == 2


def test_certificate_is_attached_where_it_is_pasted(story: Told) -> None:
    """ClickTime's mail has the active certificate as a file; no other mail has an attachment."""
    vendor, seen = story
    (mail,) = handoffs(seen.mails)
    if vendor != "clicktime":
        assert mail["attachments"] == []
        return
    (attached,) = mail["attachments"]
    assert attached["name"] == "clicktime-default.cer"
    assert "X.509 Certificate: see the attached file clicktime-default.cer" in mail["text"]
    certificate = x509.load_pem_x509_certificate(base64.b64decode(attached["content_base64"]))
    thumbprint = hashlib.sha1(certificate.public_bytes(Encoding.DER)).hexdigest().upper()
    assert thumbprint == seen.service_principal["preferredTokenSigningKeyThumbprint"]


def test_owner_is_given_an_address_to_try_where_the_application_is_in_my_apps(story: Told) -> None:
    """The user access URL stands in an owner's mail, and nowhere for an application that My Apps does not show."""
    vendor, seen = story
    address = f"https://launcher.myapps.microsoft.com/api/signin/{seen.application['appId']}"
    (mail,) = handoffs(seen.mails)
    assert (address in mail["text"]) is (vendor == "clicktime")


@pytest.mark.parametrize("vendor", FACTS)
def test_every_one_of_the_five_has_its_facts(vendor: str, five: dict[str, Story]) -> None:
    """The operation rests with the vendor or the owner, and no reason stands on it."""
    operation = five[vendor].operation
    assert (operation["state"], operation["reasons"]) == ("waiting", [])
    assert operation["waiting_for"]["what"] == "acknowledgement"
    assert operation["waiting_for"]["whom"] == ("the owner" if FACTS[vendor].to == OWNER else FACTS[vendor].to)
