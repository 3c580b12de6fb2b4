"""Applications made by hand, by somebody who has never heard of Gatehouse, and what is there of them afterwards."""

import json
import re
import shlex
from dataclasses import dataclass
from typing import Any

from tests.stories.administrator import graph
from tests.world import World

NAMES = {
    "clicktime": "ClickTime",
    "hellotracks": "Hellotracks",
    "ilogon_mha": "iLOGON_MHA",
    "smarttrace": "SmartTrace",
    "thoropass": "Thoropass",
}
SAML = frozenset({"clicktime", "thoropass"})
OLD_ADDRESS = "https://old.vendor.example/callback"
IN_USE = {"clicktime": ["https://app.clicktime.com/Login/"]}  # where the gallery presets none
OTHER_API = {
    "resourceAppId": "00000002-0000-0000-c000-000000000000",
    "resourceAccess": [{"id": "311a71cc-e848-46a1-bdf8-97ff7156d8e6", "type": "Scope"}],
}


def adoption_tag(vendor: str, instance: str = "default") -> str:
    """The tag by which an administrator consents."""
    return f"gatehouse:adopt:{vendor}/{instance}"


@dataclass(frozen=True)
class Made:
    """What an administrator has made."""

    object_id: str
    client_id: str
    principal_id: str


async def make(world: World, vendor: str, *, name: str | None = None, tags: tuple[str, ...] = ()) -> Made:
    """Make the vendor's application by hand, in use: with credentials, people, a claim and an old address."""
    application, principal = await _pair(world, vendor, name or NAMES[vendor])
    made = Made(application["id"], application["appId"], principal["id"])
    addresses = application["web"]["redirectUris"] or IN_USE.get(vendor, [])
    web = {"redirectUris": [*addresses, OLD_ADDRESS]}
    body = {"tags": ["made by hand", *tags], "web": web, "requiredResourceAccess": [OTHER_API]}
    if vendor == "hellotracks":
        body["optionalClaims"] = {"idToken": [{"name": "email", "essential": False, "additionalProperties": []}]}
    await graph(world, "PATCH", f"/applications/{made.object_id}", body)
    mode = "saml" if vendor in SAML else "oidc"
    settings = {"preferredSingleSignOnMode": mode, "appRoleAssignmentRequired": True}
    await graph(world, "PATCH", f"/servicePrincipals/{made.principal_id}", settings)
    if vendor in SAML:
        path = f"/servicePrincipals/{made.principal_id}"
        certificate = {"displayName": "CN=by hand", "endDateTime": "2028-01-01T00:00:00Z"}
        added = await graph(world, "POST", f"{path}/addTokenSigningCertificate", certificate)
        await graph(world, "PATCH", path, {"preferredTokenSigningKeyThumbprint": added["thumbprint"]})
    else:
        secret = {"passwordCredential": {"displayName": "by hand"}}
        await graph(world, "POST", f"/applications/{made.object_id}/addPassword", secret)
    return made


async def _pair(world: World, vendor: str, name: str) -> tuple[dict[str, Any], dict[str, Any]]:
    if vendor == "hellotracks":
        application = await graph(world, "POST", "/applications", {"displayName": name})
        return application, await graph(world, "POST", "/servicePrincipals", {"appId": application["appId"]})
    templates = await graph(world, "GET", f"/applicationTemplates?$filter=displayName eq '{NAMES[vendor]}'")
    template = templates["value"][0]["id"]
    made = await graph(world, "POST", f"/applicationTemplates/{template}/instantiate", {"displayName": name})
    return made["application"], made["servicePrincipal"]


async def offer(world: World, made: Made, vendor: str, instance: str = "default") -> None:
    """Put the tag of consent beside the tags that are there."""
    path = f"/applications/{made.object_id}"
    tags = (await graph(world, "GET", path))["tags"]
    await graph(world, "PATCH", path, {"tags": [*tags, adoption_tag(vendor, instance)]})


async def follow(world: World, command: str) -> None:
    """Carry out a command that a plan has told, word by word."""
    match = re.search(r"az rest .*", command)
    assert match, command
    words = shlex.split(match[0])
    options = dict(zip(words[2::2], words[3::2], strict=True))
    url = options["--url"].removeprefix(f"{world.state.graph}/v1.0")
    await graph(world, options["--method"], url, json.loads(options["--body"]))


async def read(world: World, made: Made) -> tuple[dict[str, Any], dict[str, Any]]:
    """The application and its service principal, as they stand in the tenant."""
    dump = await world.dump()
    application = next(a for a in dump["applications"] if a["id"] == made.object_id)
    principal = next(s for s in dump["service_principals"] if s["id"] == made.principal_id)
    return dict(application), dict(principal)


def lost(before: Any, after: Any, path: str = "") -> list[str]:
    """Every value that was there before and is not afterwards; what was added does not count."""
    if isinstance(before, dict) and isinstance(after, dict):
        return [each for name in before for each in lost(before[name], after.get(name), f"{path}.{name}")]
    if isinstance(before, list) and isinstance(after, list):
        left = list(after)
        missing = []
        for entry in before:
            twin = next((other for other in left if not lost(entry, other)), None)
            if twin is None:
                missing.append(f"{path}: {entry}")
            else:
                left.remove(twin)
        return missing
    return [] if before in (None, "", after) else [f"{path}: {before} became {after}"]
