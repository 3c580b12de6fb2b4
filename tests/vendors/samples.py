"""Two profiles as plain tables, and how they look as a TOML file."""

import copy
import json
from typing import Any

OIDC: dict[str, Any] = {
    "name": "Paperweight",
    "protocol": "oidc",
    "guide": "https://docs.paperweight.example/sso",
    "instances": "many",
    "source": {"gallery": "Paperweight"},
    "parameters": {
        "Tenant": {"title": "Paperweight tenant", "pattern": "[a-z0-9-]{1,40}"},
        "Region": {"title": "Region", "pattern": "eu|us", "from": "vendor"},
    },
    "oidc": {
        "redirect_uris": ["https://{Tenant}.paperweight.example/callback", "https://paperweight.example/{Region}/back"],
        "front_channel_logout_url": "https://paperweight.example/out?tenant={Tenant}",
        "scopes": ["openid", "email"],
        "sign_on_url": "https://{Tenant}.paperweight.example/",
        "secret": {"lifetime_days": 90},
    },
    "handoff": {
        "to": "vendor",
        "contact": "support@paperweight.example",
        "code_to": "ada@paperweight.example",
        "deliver": ["tenant_id", "client_id", "client_secret"],
        "fields": {"tenant_id": "Directory", "client_id": "Client", "client_secret": "Secret"},
        "steps": ["Open Settings.", "Enter the values."],
        "valid_days": 5,
        "plain": False,
    },
    "people": {"provisioning": "scim", "assignment_required": True, "role": "User"},
}

SAML: dict[str, Any] = {
    "name": "Inkwell",
    "protocol": "saml",
    "guide": "https://docs.inkwell.example/sso",
    "instances": "one",
    "source": {"template_id": "8adf8e6e-67b2-4cf2-a259-e3dc5476c621"},
    "parameters": {"Tenant": {"title": "Inkwell tenant", "pattern": "[a-z0-9-]{1,40}"}},
    "saml": {
        "identifiers": ["urn:inkwell:sp", "https://inkwell.example/{Tenant}"],
        "reply_urls": ["https://inkwell.example/{Tenant}/acs"],
        "sign_on_url": "https://inkwell.example/{Tenant}/login",
        "logout_url": "https://inkwell.example/{Tenant}/logout",
        "relay_state": "https://inkwell.example/{Tenant}/home",
        "initiated_by": "both",
        "certificate": {"lifetime_days": 365},
    },
    "handoff": {
        "to": "owner",
        "deliver": ["login_url", "certificate_base64"],
        "fields": {"login_url": "Login URL", "certificate_base64": "Certificate"},
        "steps": ["Open Settings."],
    },
    "people": {"provisioning": "just-in-time"},
}


def changed(sample: dict[str, Any], path: tuple[str | int, ...], value: object) -> dict[str, Any]:
    """Return the sample with another value at a key path."""
    tables = copy.deepcopy(sample)
    at: Any = tables
    for part in path[:-1]:
        at = at[part]
    at[path[-1]] = value
    return tables


def without(sample: dict[str, Any], path: tuple[str, ...]) -> dict[str, Any]:
    """Return the sample without the key at a path."""
    tables = copy.deepcopy(sample)
    at: Any = tables
    for part in path[:-1]:
        at = at[part]
    del at[path[-1]]
    return tables


def toml(tables: dict[str, Any]) -> bytes:
    """Write tables as TOML: one line each key, tables inline."""
    return "".join(f"{json.dumps(key)} = {_value(value)}\n" for key, value in tables.items()).encode()


def _value(value: object) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{json.dumps(key)} = {_value(inner)}" for key, inner in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_value, value)) + "]"
    # JSON's escapes are TOML's, but for U+007F, which TOML wants escaped; characters beyond U+FFFF stand as they are.
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
