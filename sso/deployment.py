"""What a deployment adds to every plan."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Deployment:
    """The tenant, the cloud and the house's rules, from the settings."""

    tenant_id: str
    authority_url: str
    operators: str
    allow_plain_secrets: bool = False
    graph_url: str = "https://graph.microsoft.com"
    offboard_days: int = 14  # from switching sign-in off to the deletion
    freeze: tuple[str, ...] = ()  # windows, as `vendors.windows` reads them
