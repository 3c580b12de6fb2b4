"""Programs that know the vault by its address alone: one reads a secret and uses it, past the app and its libraries."""

from tests.kills.ground import Ground
from tests.world import Reply


async def read_public_secret(ground: Ground, vendor: str, instance: str = "default") -> int:
    """What the token service answers to whoever reads and uses the secret now; else what the vault answers."""
    state, name = ground.state, f"gatehouse-{vendor.replace('_', '--')}-{instance}-client-secret"
    found = await _ask_vault(ground, "GET", name)
    if found.status != 200:
        return found.status
    form = {
        "grant_type": "client_credentials",
        "client_id": found.body["tags"]["client-id"],
        "client_secret": found.body["value"],
        "scope": f"{state.graph}/.default",
    }
    url = f"{state.authority}/{state.env['GATEHOUSE_TENANT_ID']}/oauth2/v2.0/token"
    return (await ground.call("POST", url, data=form)).status


async def keep_secret(ground: Ground, name: str, value: str) -> None:
    """Write a secret into the vault, as an operator does."""
    kept = await _ask_vault(ground, "PUT", name, {"value": value})
    assert kept.status == 200, kept.text


async def _ask_vault(ground: Ground, method: str, name: str, body: object = None) -> Reply:
    state = ground.state
    # The resource is named by the vault's challenge; the sandbox's is its host without the first label.
    resource = "https://" + state.vault.removeprefix("https://").partition(".")[2]
    identity = await ground.call(
        "GET",
        f"{state.env['IDENTITY_ENDPOINT']}?api-version=2019-08-01&resource={resource}",
        headers={"X-IDENTITY-HEADER": state.env["IDENTITY_HEADER"]},
    )
    bearer = {"Authorization": f"Bearer {identity.body['access_token']}"}
    return await ground.call(method, f"{state.vault}/secrets/{name}?api-version=7.4", body, headers=bearer)
