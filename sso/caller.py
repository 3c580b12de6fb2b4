"""Who calls: what App Service authentication says, where the deployment demands it."""

import base64
import json
from dataclasses import dataclass
from typing import Literal

from sso.errors import Reason, Refused

Role = Literal["Gatehouse.Read", "Gatehouse.Onboard", "Gatehouse.Operate"]
ROLE_CLAIMS = frozenset({"roles", "http://schemas.microsoft.com/ws/2008/06/identity/claims/role"})
NAME_CLAIMS = ("preferred_username", "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/upn", "appid", "name")


@dataclass(frozen=True)
class Caller:
    """Who called, as the platform says, and the header by which a repeat is known."""

    name: str | None = None
    idempotency_key: str | None = None


def signed_in_caller(principal: str | None, role: Role) -> str:
    """The caller's name from `X-MS-CLIENT-PRINCIPAL`; raises `Refused`, 401 without one and 403 without the role.

    Source: learn.microsoft.com/azure/app-service/configure-authentication-user-identities.
    """
    try:
        claims = json.loads(base64.b64decode(principal or "", validate=True))["claims"]
        found = [(str(claim["typ"]), str(claim["val"])) for claim in claims]
    except (ValueError, KeyError, TypeError):
        detail = "This deployment takes signed-in callers only. Sign in through the app's authentication."
        raise Refused(Reason("caller", detail), status=401) from None
    if role not in {value for name, value in found if name in ROLE_CLAIMS}:
        detail = f"This call needs the app role '{role}'. Have it assigned to you in Entra ID."
        raise Refused(Reason("caller", detail), status=403)
    names = dict(found)
    return next((names[name] for name in NAME_CLAIMS if name in names), "unnamed caller")
