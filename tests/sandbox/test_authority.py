"""The authority and the identity endpoint, driven by strangers where there are any."""

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Mapping
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import azure.identity
import jwt
import msal  # type: ignore[import-untyped]  # it ships none
import pytest
import requests

from sandbox.oauth import s256
from sandbox.tokens import TokenError, tokens_of
from sandbox.user_agent import USER_HEADER, SiteRequest, UserAgent
from sandbox.wire import Reply
from tests.sandbox.hand_made import SIMON, UNASSIGNED, HandMadeTenant, Made, hand_made_tenant

CALLBACK = "https://portal.example/callback"
SECRET = "canary-8Q~client.secret"
VERIFIER = "a-verifier-that-is-long-enough-for-rfc-7636-to-like-it"


@pytest.fixture(scope="module")
async def contoso(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[HandMadeTenant]:
    """One tenant for the whole file; each test registers its own applications."""
    async with hand_made_tenant(tmp_path_factory.mktemp("authority")) as made:
        yield made


@pytest.fixture
def portal(contoso: HandMadeTenant) -> Made:
    """An OpenID Connect application that B.Simon may sign in to."""
    made = contoso.add("Portal", reply_urls=(CALLBACK,))
    contoso.add_secret(made, SECRET)
    contoso.assign(made, contoso.user_id())
    contoso.consent(made)
    return made


ASK_ASYNCHRONOUSLY = """
import asyncio, sys
from azure.identity.aio import ManagedIdentityCredential
async def main():
    async with ManagedIdentityCredential() as credential:
        print((await credential.get_token(sys.argv[1])).token)
asyncio.run(main())
"""


@pytest.fixture
def app_service(contoso: HandMadeTenant, monkeypatch: pytest.MonkeyPatch) -> None:
    """The environment that App Service gives an app."""
    monkeypatch.setenv("IDENTITY_ENDPOINT", f"{contoso.tenant.urls.identity}/msi/token")
    monkeypatch.setenv("IDENTITY_HEADER", tokens_of(contoso.tenant).identity_header)
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(contoso.authority_file))
    monkeypatch.setenv("SSL_CERT_FILE", str(contoso.authority_file))


class Portal:
    """A site that keeps what browsers post to it."""

    def __init__(self) -> None:
        self.forms: list[Mapping[str, str]] = []

    async def answer(self, request: SiteRequest) -> Reply:
        """Take the form."""
        self.forms.append(request.form)
        return Reply(200, "text/plain", None, "")


def authorize_query(made: Made, **changed: str) -> dict[str, str]:
    """What a correct client sends to the authorization endpoint."""
    usual = {
        "client_id": made.client_id,
        "response_type": "code",
        "redirect_uri": CALLBACK,
        "scope": "openid profile email",
        "state": "state-1",
        "nonce": "nonce-1",
        "code_challenge": s256(VERIFIER),
        "code_challenge_method": "S256",
    }
    return {name: value for name, value in {**usual, **changed}.items() if value}


async def authorize(contoso: HandMadeTenant, query: Mapping[str, str], user: str | None = SIMON) -> Reply:
    """One visit to the authorization endpoint."""
    url = f"{contoso.root}/oauth2/v2.0/authorize?{urlencode(query)}"
    return await contoso.wire.get(url, {USER_HEADER: user} if user else {})


async def code_of(contoso: HandMadeTenant, made: Made) -> str:
    """A fresh authorization code."""
    reply = await authorize(contoso, authorize_query(made))
    assert reply.location is not None, reply.text
    return dict(parse_qsl(urlsplit(reply.location).query))["code"]


async def token(contoso: HandMadeTenant, made: Made, **changed: str) -> tuple[int, dict[str, Any]]:
    """One call to the token endpoint."""
    form = {"client_id": made.client_id, "client_secret": SECRET, **changed}
    reply = await contoso.wire.post(
        f"{contoso.root}/oauth2/v2.0/token", {name: value for name, value in form.items() if value}
    )
    return reply.status, json.loads(reply.text)


async def redeem(contoso: HandMadeTenant, made: Made, code: str, **changed: str) -> tuple[int, dict[str, Any]]:
    """One redemption of a code."""
    form = {"grant_type": "authorization_code", "code": code, "redirect_uri": CALLBACK, "code_verifier": VERIFIER}
    return await token(contoso, made, **{**form, **changed})


@pytest.mark.usefixtures("app_service")
async def test_the_unmodified_sdk_gets_a_token_with_the_granted_roles(contoso: HandMadeTenant) -> None:
    """azure-identity's managed identity credential is given a Graph token that names the identity's permissions."""
    graph = contoso.tenant.urls.graph
    with azure.identity.ManagedIdentityCredential() as credential:
        answer = await asyncio.to_thread(credential.get_token, f"{graph}/.default")
    claims = contoso.tenant.tokens.verify(answer.token, graph)
    assert claims["oid"] == contoso.tenant.directory.identity_service_principal_id
    assert {"Application.ReadWrite.All", "Mail.Send"} <= set(claims["roles"])


@pytest.mark.usefixtures("app_service")
async def test_the_unmodified_asynchronous_sdk_gets_a_vault_token(contoso: HandMadeTenant) -> None:
    """The asynchronous credential is given a token for the vault's own resource, which Graph's check refuses."""
    resource = contoso.tenant.urls.vault_resource
    # In a process of its own, because aiohttp reads SSL_CERT_FILE once, when it is imported.
    child = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", ASK_ASYNCHRONOUSLY, f"{resource}/.default"), stdout=asyncio.subprocess.PIPE
    )
    answer = (await child.communicate())[0].decode().strip()
    assert contoso.tenant.tokens.verify(answer, resource)["aud"] == resource
    with pytest.raises(TokenError, match="Audience"):
        contoso.tenant.tokens.verify(answer, contoso.tenant.urls.graph)


@pytest.mark.parametrize(
    ("query", "header", "status"),
    [
        ({"api-version": "2019-08-01", "resource": "GRAPH"}, "wrong", 401),
        ({"api-version": "2017-09-01", "resource": "GRAPH"}, None, 400),
        ({"api-version": "2019-08-01", "resource": "https://storage.example"}, None, 400),
    ],
)
async def test_the_identity_endpoint_refuses_what_app_service_refuses(
    contoso: HandMadeTenant, query: dict[str, str], header: str | None, status: int
) -> None:
    """Without the right header, version and resource there is no token."""
    asked = {name: value.replace("GRAPH", contoso.tenant.urls.graph) for name, value in query.items()}
    headers = {"X-IDENTITY-HEADER": header or tokens_of(contoso.tenant).identity_header}
    reply = await contoso.wire.get(f"{contoso.tenant.urls.identity}/msi/token?{urlencode(asked)}", headers)
    assert reply.status == status
    assert "access_token" not in reply.text


@pytest.mark.usefixtures("app_service")
async def test_msal_completes_both_flows(contoso: HandMadeTenant, portal: Made) -> None:
    """Microsoft's own library proves a secret and signs a person in, checking the ID token itself."""
    http = requests.Session()
    app = await asyncio.to_thread(
        lambda: msal.ConfidentialClientApplication(
            portal.client_id,
            authority=contoso.root,
            client_credential=SECRET,
            instance_discovery=False,
            http_client=http,
        )
    )
    graph = contoso.tenant.urls.graph
    proof = await asyncio.to_thread(app.acquire_token_for_client, [f"{graph}/.default"])
    assert contoso.tenant.tokens.verify(proof["access_token"], graph)["appid"] == portal.client_id
    contoso.consent(portal, "openid profile email offline_access")
    flow = await asyncio.to_thread(
        app.initiate_auth_code_flow, ["email"], redirect_uri=CALLBACK, response_mode="form_post"
    )
    site = Portal()
    await UserAgent(contoso.wire, contoso.tenant.urls.authority, {"portal.example": site}, SIMON).open(flow["auth_uri"])
    answer = dict(site.forms[0])
    result = await asyncio.to_thread(app.acquire_token_by_auth_code_flow, flow, answer)
    http.close()
    assert result["id_token_claims"]["preferred_username"] == SIMON


async def test_an_id_token_says_who_signed_in(contoso: HandMadeTenant, portal: Made) -> None:
    """The claims are those of the v2.0 endpoint, signed by a key that the key set shows."""
    role_id = "11111111-2222-3333-4444-555555555555"
    portal.service_principal["appRoles"] = [{"id": role_id, "value": "Auditor", "isEnabled": True}]
    contoso.assign(portal, contoso.user_id(), role_id)
    _, body = await redeem(contoso, portal, await code_of(contoso, portal))
    discovery = json.loads((await contoso.wire.get(f"{contoso.root}/v2.0/.well-known/openid-configuration")).text)
    keys = jwt.PyJWKSet.from_dict(json.loads((await contoso.wire.get(discovery["jwks_uri"])).text))
    key = keys[jwt.get_unverified_header(body["id_token"])["kid"]]
    claims = jwt.decode(
        body["id_token"], key.key, algorithms=["RS256"], audience=portal.client_id, issuer=f"{contoso.root}/v2.0"
    )
    assert claims["iss"] == discovery["issuer"]
    assert claims["oid"] == contoso.user_id() != claims["sub"]
    assert claims["tid"] == contoso.tenant.directory.tenant_id
    assert (claims["nonce"], claims["name"], claims["email"]) == ("nonce-1", "B.Simon", SIMON)
    assert claims["roles"] == ["Auditor"]


@pytest.mark.parametrize(
    ("changed", "code", "status"),
    [
        ({"client_secret": "wrong"}, 7000215, 401),
        ({"client_secret": ""}, 7000218, 401),
        ({"client_id": "00000000-0000-0000-0000-00000000dead"}, 700016, 400),
        ({"client_id": ""}, 900144, 400),
        ({"scope": "openid"}, 1002012, 400),
        ({"scope": "https://storage.example/.default"}, 500011, 400),
        ({"grant_type": "password"}, 70003, 400),
    ],
)
async def test_the_token_endpoint_refuses_in_entra_s_words(
    contoso: HandMadeTenant, portal: Made, changed: dict[str, str], code: int, status: int
) -> None:
    """Each refusal carries its AADSTS number, its OAuth error and no secret."""
    usual = {"grant_type": "client_credentials", "scope": f"{contoso.tenant.urls.graph}/.default"}
    answered, body = await token(contoso, portal, **{**usual, **changed})
    assert (answered, body["error_codes"]) == (status, [code])
    assert body["error_description"].startswith(f"AADSTS{code}: ")
    assert {"error", "timestamp", "trace_id", "correlation_id"} <= set(body)
    assert SECRET not in json.dumps(body)


async def test_a_secret_ends_by_the_sandbox_clock(contoso: HandMadeTenant, portal: Made) -> None:
    """One second after its end a secret is refused with AADSTS7000222, and with AADSTS7000215 once removed."""
    form = {"grant_type": "client_credentials", "scope": f"{contoso.tenant.urls.graph}/.default"}
    assert (await token(contoso, portal, **form))[0] == 200
    clock = contoso.tenant.clock
    try:
        clock.set(clock.now() + timedelta(days=90, seconds=1))
        assert (await token(contoso, portal, **form))[1]["error_codes"] == [7000222]
    finally:
        clock.reset()
    portal.application["passwordCredentials"].clear()
    assert (await token(contoso, portal, **form))[1]["error_codes"] == [7000215]


async def test_a_disabled_service_principal_gets_nothing(contoso: HandMadeTenant, portal: Made) -> None:
    """With accountEnabled false neither tokens are given nor people signed in."""
    portal.service_principal["accountEnabled"] = False
    form = {"grant_type": "client_credentials", "scope": f"{contoso.tenant.urls.graph}/.default"}
    assert (await token(contoso, portal, **form))[1]["error_codes"] == [7000112]
    assert "AADSTS7000112" in (await authorize(contoso, authorize_query(portal))).text


async def test_another_tenant_s_id_is_not_found(contoso: HandMadeTenant) -> None:
    """Only the tenant's own ID leads anywhere."""
    reply = await contoso.wire.get(
        f"{contoso.tenant.urls.authority}/11111111-1111-1111-1111-111111111111/v2.0/.well-known/openid-configuration"
    )
    assert reply.status == 400
    assert "AADSTS90002" in reply.text


@pytest.mark.parametrize(
    ("changed", "user", "code"),
    [
        ({"redirect_uri": f"{CALLBACK}/"}, SIMON, 50011),
        ({"redirect_uri": "https://portal.example.evil.example/callback"}, SIMON, 50011),
        ({"client_id": "00000000-0000-0000-0000-00000000dead"}, SIMON, 700016),
        ({"response_type": "id_token"}, SIMON, 70005),
        ({"scope": "openid User.Read"}, SIMON, 90094),
        ({"scope": ""}, SIMON, 900144),
        ({"code_challenge_method": "plain"}, SIMON, 9002313),
        ({}, UNASSIGNED, 50105),
        ({}, "nobody@contoso.com", 50034),
    ],
)
async def test_a_sign_in_is_refused_on_a_page(
    contoso: HandMadeTenant, portal: Made, changed: dict[str, str], user: str, code: int
) -> None:
    """A refusal is shown to the person and nothing is sent to any redirect URI."""
    reply = await authorize(contoso, authorize_query(portal, **changed), user)
    assert reply.location is None
    assert f"AADSTS{code}: " in reply.text


async def test_without_the_tenant_wide_grant_nobody_signs_in(contoso: HandMadeTenant, portal: Made) -> None:
    """An assigned person is refused with AADSTS90094 once the grant is gone."""
    contoso.tenant.directory.grants.clear()
    assert "AADSTS90094" in (await authorize(contoso, authorize_query(portal))).text


async def test_membership_counts_only_where_it_is_direct(contoso: HandMadeTenant) -> None:
    """A member of an assigned group gets in; a member of a group within it does not."""
    made = contoso.add("Grouped", reply_urls=(CALLBACK,))
    contoso.consent(made)
    directory = contoso.tenant.directory
    directory.members["outer"] = {"inner", contoso.user_id(SIMON)}
    directory.members["inner"] = {contoso.user_id(UNASSIGNED)}
    contoso.assign(made, "outer")
    assert (await authorize(contoso, authorize_query(made), SIMON)).location is not None
    assert "AADSTS50105" in (await authorize(contoso, authorize_query(made), UNASSIGNED)).text


async def test_a_code_is_good_once_and_for_its_own_client(contoso: HandMadeTenant, portal: Made) -> None:
    """A used, foreign or invented code, another verifier and another redirect URI are refused; a good one works."""
    other = contoso.add("Other", reply_urls=(CALLBACK,))
    contoso.add_secret(other, SECRET)
    code = await code_of(contoso, portal)
    refused = [
        ((await redeem(contoso, portal, code, code_verifier="another"))[1]["error_codes"], 501481),
        ((await redeem(contoso, portal, code, code_verifier=""))[1]["error_codes"], 501481),
        ((await redeem(contoso, portal, code, redirect_uri="https://portal.example/"))[1]["error_codes"], 500112),
        ((await redeem(contoso, other, code))[1]["error_codes"], 9002313),
        ((await redeem(contoso, portal, "invented"))[1]["error_codes"], 9002313),
    ]
    assert [found for found, _ in refused] == [[expected] for _, expected in refused]
    assert (await redeem(contoso, portal, code))[0] == 200
    assert (await redeem(contoso, portal, code))[1]["error_codes"] == [54005]


async def test_a_stranger_s_browser_is_asked_who_sits_there(contoso: HandMadeTenant, portal: Made) -> None:
    """Without a known person the authority asks, and goes on with the answer as login hint."""
    reply = await authorize(contoso, authorize_query(portal), None)
    assert reply.status == 200
    assert 'name="login_hint"' in reply.text
    reply = await authorize(contoso, authorize_query(portal, login_hint=SIMON), None)
    assert str(reply.location).startswith(f"{CALLBACK}?code=")


async def test_an_administrator_consents_by_hand(contoso: HandMadeTenant) -> None:
    """The admin consent page grants the scopes that the application declares, and no others."""
    made = contoso.add("Consented", reply_urls=(CALLBACK,))
    contoso.assign(made, contoso.user_id())
    graph = contoso.tenant.directory.service_principals[contoso.tenant.directory.graph_service_principal_id]
    ids = {scope["value"]: scope["id"] for scope in graph["oauth2PermissionScopes"]}
    access = [{"id": ids[name], "type": "Scope"} for name in ("openid", "profile", "email")]
    made.application["requiredResourceAccess"] = [{"resourceAppId": graph["appId"], "resourceAccess": access}]
    url = f"{contoso.root}/adminconsent"
    assert "openid profile email" in (await contoso.wire.get(f"{url}?client_id={made.client_id}")).text
    assert "AADSTS90094" in (await authorize(contoso, authorize_query(made))).text
    await contoso.wire.post(url, {"client_id": made.client_id, "accept": "true"})
    assert (await authorize(contoso, authorize_query(made))).location is not None
    assert "AADSTS90094" in (await authorize(contoso, authorize_query(made, scope="openid User.Read"))).text


async def test_the_record_of_calls_holds_no_secret(contoso: HandMadeTenant, portal: Made) -> None:
    """Client secrets, codes and tokens appear masked in the record."""
    await redeem(contoso, portal, code := await code_of(contoso, portal))
    recorded = json.dumps(contoso.tenant.calls.entries)
    assert "POST /{tenantId}/oauth2/v2.0/token" in recorded
    assert SECRET not in recorded
    assert code not in recorded
    assert "eyJ" not in recorded
