"""Libraries that are not ours and know nothing of Gatehouse, set loose on what it has made."""

import asyncio
import base64
from typing import Any
from xml.etree import ElementTree as ET  # what our own sandbox has signed

import aiohttp
import minisaml.request
import minisaml.response
import msal  # type: ignore[import-untyped]  # it ships none
import pytest
from azure.identity.aio import ManagedIdentityCredential
from azure.keyvault.secrets.aio import SecretClient
from cryptography import x509
from lxml import html

from tests.stories.conftest import hostless, running_hostless
from tests.stories.hostless import Hostless
from tests.world import World

__all__ = ["hostless", "running_hostless"]
CERTIFICATE = "{http://www.w3.org/2000/09/xmldsig#}X509Certificate"


async def _get(world: World, url: str, **options: Any) -> str:
    connector = aiohttp.TCPConnector(ssl=world.tls)
    async with aiohttp.ClientSession(connector=connector) as session, session.get(url, **options) as answer:
        assert answer.status == 200, await answer.text()
        return await answer.text()


@pytest.mark.parametrize("vendor", ["clicktime", "thoropass"])
async def test_a_saml_library_accepts_metadata_and_response(world: World, vendor: str) -> None:
    """A SAML library takes the certificates from the metadata and accepts the response that a person gets."""
    await world.onboard(vendor)
    application = await world.application(vendor)
    (identifier,), tenant = application["identifierUris"], world.state.env["GATEHOUSE_TENANT_ID"]
    root = f"{world.state.authority}/{tenant}"
    address = f"{root}/federationmetadata/2007-06/federationmetadata.xml?appid={application['appId']}"
    listed = ET.fromstring(await _get(world, address)).iter(CERTIFICATE)
    ders = {base64.b64decode("".join((element.text or "").split())) for element in listed}
    request = minisaml.request.get_request_redirect_url(
        saml_endpoint=f"{root}/saml2",
        expected_audience=identifier,
        acs_url=application["web"]["redirectUris"][0],
        request_id="_stranger",
    )
    page = html.fromstring(await _get(world, str(request), headers={"X-Sandbox-User": "b.simon@contoso.com"}))
    sent = page.xpath("string(//form//input[@name='SAMLResponse']/@value)")
    response = minisaml.response.validate_response(
        data=str(sent),
        certificate=[x509.load_der_x509_certificate(der) for der in ders],
        expected_audience=identifier,
        idp_issuer=f"https://sts.windows.net/{tenant}/",
    )
    assert (response.name_id, response.in_response_to) == ("b.simon@contoso.com", "_stranger")


async def test_msal_and_the_vault_sdk_use_the_secret(hostless: Hostless) -> None:
    """The vault's SDK, its challenge answered and checked, reads the secret; MSAL gets a token with it."""
    await hostless.accept("hellotracks")
    await hostless.run_all()
    world = hostless.world
    client_id = (await world.application("hellotracks"))["appId"]
    async with (
        ManagedIdentityCredential() as credential,
        SecretClient(world.state.vault, credential) as vault,  # verify_challenge_resource is on
    ):
        found = await vault.get_secret("gatehouse-hellotracks-default-client-secret")
    assert found.properties.expires_on is not None
    client = await asyncio.to_thread(
        lambda: msal.ConfidentialClientApplication(
            client_id,
            client_credential=found.value,
            authority=f"{world.state.authority}/{world.state.env['GATEHOUSE_TENANT_ID']}",
            instance_discovery=False,
        )
    )
    scopes = [f"{world.state.graph}/.default"]
    token = await asyncio.to_thread(client.acquire_token_for_client, scopes)
    assert "access_token" in token, token
