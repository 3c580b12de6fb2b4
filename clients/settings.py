"""The settings: read from the environment once, every missing or bad one named in one message."""

import os
from collections.abc import Mapping
from typing import Literal
from urllib.parse import urlsplit
from urllib.request import getproxies

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from sso.errors import Reason, TenantError
from vendors.windows import FORMS, window_problem

Cloud = Literal["global", "usgov", "dod", "china"]

# Graph and authority of each cloud (learn.microsoft.com/graph/deployments).
CLOUD_HOSTS: dict[Cloud, tuple[str, str]] = {
    "global": ("https://graph.microsoft.com", "https://login.microsoftonline.com"),
    "usgov": ("https://graph.microsoft.us", "https://login.microsoftonline.us"),
    "dod": ("https://dod-graph.microsoft.us", "https://login.microsoftonline.us"),
    "china": ("https://microsoftgraph.chinacloudapi.cn", "https://login.partner.microsoftonline.cn"),
}
GUID = r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}"
STORAGE = "AzureWebJobsStorage"
ADDRESS = r"[^@\s<>,;]+@[^@\s<>,;]+\.[^@\s<>,;]+"


class Settings(BaseModel):
    """Everything that a deployment decides; nothing else in the app reads the environment."""

    model_config = ConfigDict(frozen=True, extra="ignore", populate_by_name=False)

    tenant_id: str = Field(alias="GATEHOUSE_TENANT_ID", pattern=f"^{GUID}$")
    vault_url: str = Field(alias="GATEHOUSE_KEY_VAULT_URL")
    mail_sender: str = Field(alias="GATEHOUSE_MAIL_SENDER", pattern=f"^{ADDRESS}$")
    public_url: str = Field(alias="GATEHOUSE_PUBLIC_URL")
    operators: str = Field(alias="GATEHOUSE_OPERATORS", pattern=f"^{ADDRESS}$")
    organisation: str = Field(alias="GATEHOUSE_ORGANISATION", min_length=1, max_length=100)
    cloud: Cloud = Field("global", alias="GATEHOUSE_CLOUD")
    sweep_schedule: str = Field(alias="GATEHOUSE_SWEEP_SCHEDULE")
    rotation_schedule: str = Field(alias="GATEHOUSE_ROTATION_SCHEDULE")
    summary_schedule: str = Field(alias="GATEHOUSE_SUMMARY_SCHEDULE")
    reconcile_schedule: str = Field(alias="GATEHOUSE_RECONCILE_SCHEDULE")
    owners_group: str | None = Field(None, alias="GATEHOUSE_OWNERS_GROUP")
    consent_scopes: frozenset[str] = Field(frozenset(), alias="GATEHOUSE_CONSENT_SCOPES")
    allow_plain_secrets: bool = Field(default=False, alias="GATEHOUSE_ALLOW_PLAIN_SECRETS")
    require_signed_in: bool = Field(default=False, alias="GATEHOUSE_REQUIRE_SIGNED_IN")
    freeze: tuple[str, ...] = Field((), alias="GATEHOUSE_FREEZE")
    brake_share: float = Field(0.2, alias="GATEHOUSE_BRAKE_SHARE", ge=0, le=1)
    brake_floor: int = Field(10, alias="GATEHOUSE_BRAKE_FLOOR", ge=0)
    entitlements: str | None = Field(None, alias="GATEHOUSE_ENTITLEMENTS")
    excluded_group: str | None = Field(None, alias="GATEHOUSE_EXCLUDED_GROUP")
    offboard_days: int = Field(14, alias="GATEHOUSE_OFFBOARD_DAYS", ge=1, le=365)
    retention_days: int = Field(400, alias="GATEHOUSE_RETENTION_DAYS", ge=31, le=3660)
    wait_scale: float = Field(1.0, alias="GATEHOUSE_WAIT_SCALE", gt=0, le=1000)
    graph_override: str | None = Field(None, alias="GATEHOUSE_GRAPH_URL")
    authority_override: str | None = Field(None, alias="GATEHOUSE_AUTHORITY_URL")
    storage: str | None = Field(None, alias="AzureWebJobsStorage")
    storage_account: str | None = Field(None, alias="AzureWebJobsStorage__accountName")
    storage_queues: str | None = Field(None, alias="AzureWebJobsStorage__queueServiceUri")
    storage_tables: str | None = Field(None, alias="AzureWebJobsStorage__tableServiceUri")

    @field_validator("consent_scopes", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        return frozenset(value.replace(",", " ").split()) if isinstance(value, str) else value

    @field_validator("freeze", mode="before")
    @classmethod
    def _windows(cls, value: object) -> object:
        windows = tuple(value.replace(",", " ").split()) if isinstance(value, str) else value
        if isinstance(windows, tuple) and any(window_problem(window) for window in windows):
            msg = f"must be windows of days {FORMS}, parted by spaces or commas"
            raise ValueError(msg)
        return windows

    @field_validator("vault_url", "public_url", "graph_override", "authority_override")
    @classmethod
    def _https(cls, value: str | None) -> str | None:
        if value is None:
            return None
        parts = urlsplit(value)
        if parts.scheme != "https" or not parts.hostname or parts.query or parts.fragment or parts.path.strip("/"):
            msg = "must be an https address without a path, such as https://gatehouse.contoso.com"
            raise ValueError(msg)
        return value.rstrip("/")

    @property
    def graph_url(self) -> str:
        """Where Microsoft Graph is, without a path."""
        return self.graph_override or CLOUD_HOSTS[self.cloud][0]

    @property
    def authority_url(self) -> str:
        """Where the token service is, without a path."""
        return self.authority_override or CLOUD_HOSTS[self.cloud][1]

    @property
    def entity_id(self) -> str:
        """The Microsoft Entra Identifier, the SAML issuer; the trailing slash is part of it (graph-contract 1)."""
        host = "sts.chinacloudapi.cn" if self.cloud == "china" else "sts.windows.net"
        return f"https://{host}/{self.tenant_id}/"

    @property
    def queue_endpoint(self) -> str:
        """Where the queues are when the identity opens them."""
        return self.storage_queues or f"https://{self.storage_account}.queue.core.windows.net"

    @property
    def table_endpoint(self) -> str:
        """Where the table is when the identity opens it."""
        return self.storage_tables or f"https://{self.storage_account}.table.core.windows.net"


def read_settings(environment: Mapping[str, str] = os.environ) -> Settings:
    """Read the settings; raises `TenantError` that names every missing or bad one."""
    given = {name: value for name, value in environment.items() if value != ""}
    reasons = () if _names_storage(given) else (NO_STORAGE,)
    try:
        settings = Settings.model_validate(given)
    except ValidationError as error:
        raise SettingsError((*map(_reason, error.errors()), *reasons)) from None
    if reasons:
        raise SettingsError(reasons)
    return settings


def sdk_options() -> dict[str, bool]:
    """What every client of the Azure SDKs is told: to heed the environment only where that names a proxy.

    Told to heed it, they look for a proxy and for .netrc in a thread each with every request, which is a fifth of what
    a call to the storage costs us.
    """
    return {"use_env_settings": bool(getproxies())}


NO_STORAGE = Reason(
    STORAGE,
    f"is unset; set it to a connection string, or set {STORAGE}__accountName (or __queueServiceUri and"
    " __tableServiceUri) to use the identity.",
)


def _names_storage(given: Mapping[str, str]) -> bool:
    """Whether storage can be found in one of the host's three ways."""
    parts = {name.removeprefix(f"{STORAGE}__") for name in given if name.startswith(f"{STORAGE}__")}
    return STORAGE in given or "accountName" in parts or {"queueServiceUri", "tableServiceUri"} <= parts


class SettingsError(TenantError):
    """The deployment lacks settings, or has bad ones; `reasons` names each."""

    def __init__(self, reasons: tuple[Reason, ...]) -> None:
        """Name every setting at once."""
        super().__init__("The settings are incomplete. " + " ".join(f"{r.field}: {r.detail}" for r in reasons))
        self.reasons = reasons


def _reason(problem: Mapping[str, object]) -> Reason:
    """One problem of the settings as a sentence; the value found is not repeated: it may hold a storage key."""
    location = problem["loc"]
    name = str(location[0]) if isinstance(location, tuple) else ""
    if problem["type"] == "missing":
        return Reason(name, "is unset; set it in the app's settings (see Settings in the README).")
    return Reason(name, str(problem["msg"]).removeprefix("Value error, ") + ".")
