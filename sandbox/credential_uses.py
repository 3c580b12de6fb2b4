"""Which client secret was used when: what Entra's beta report of credential sign-in activity is made of.

Only token requests that were granted are uses. A use shows after a lag, and a row stays when its secret is removed.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

from sandbox.clock import Clock, graph_time
from sandbox.directory import GraphObject
from sandbox.unkind.draws import Draws

KEPT = timedelta(days=4)
"""Longer than any lag: of older uses only the newest still counts."""


@dataclass(frozen=True)
class Use:
    """One granted token request."""

    at: datetime
    request_id: str
    row: GraphObject
    """What the report says of the credential beside its use."""


class CredentialUses:
    """The uses of one tenant's client secrets, by keyId."""

    def __init__(self, clock: Clock, draws: Draws) -> None:
        self._clock = clock
        self._draws = draws
        self._uses: dict[str, list[Use]] = {}

    def note(self, application: GraphObject, credential: GraphObject, resource_id: str | None, principal: str) -> None:
        """Note that a token was granted for this secret, now."""
        now, key_id = self._clock.now(), str(credential["keyId"])
        row = {
            "id": f"{application['id']}_{key_id}",
            "appId": application["appId"],
            "appObjectId": application["id"],
            "servicePrincipalObjectId": principal,
            "resourceId": resource_id,
            "keyId": key_id,
            "keyType": "clientSecret",
            "credentialOrigin": "application",
            "createdDateTime": credential.get("startDateTime"),
            "expirationDateTime": credential.get("endDateTime"),
        }
        known = self._uses.get(key_id, [])
        older = [use for use in known if use.at <= now - KEPT][-1:]
        self._uses[key_id] = [
            *older,
            *(use for use in known if use.at > now - KEPT),
            Use(now, str(uuid4()), row),
        ]

    def rows(self, longest_lag: float) -> list[GraphObject]:
        """Return what the report shows now, where a use shows after half of this lag to all of it, in seconds."""
        now, found = self._clock.now(), []
        for key_id, uses in self._uses.items():
            lag = timedelta(seconds=self._draws.between(longest_lag / 2, longest_lag, "credential use", key_id))
            shown = [use for use in uses if use.at <= now - lag]
            if shown:
                newest = max(shown, key=lambda use: use.at)
                activity: dict[str, Any] = {
                    "lastSignInDateTime": graph_time(newest.at),
                    "lastSignInRequestId": newest.request_id,
                }
                found.append({**newest.row, "signInActivity": activity})
        return found
