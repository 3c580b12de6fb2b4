"""App management policies: what the tenant says of credentials, in general and of one application."""

from collections.abc import Iterable
from datetime import timedelta

from kiota_abstractions.request_information import RequestInformation
from pydantic import TypeAdapter, ValidationError

from clients.graph.calls import GraphCalls, values_of
from clients.graph.decode import moment
from clients.graph.refusals import refusal
from clients.graph.wire import JSON
from sso.app_management import Policy, Restriction
from sso.model import ObjectId

FORBIDDEN, NOT_FOUND = 403, 404
_DURATION = TypeAdapter(timedelta)


class PolicyCalls(GraphCalls):
    """Calls on app management policies; without the permission to read them nothing is known of them."""

    async def default_policy(self) -> Policy | None:
        """The tenant's default policy; None where it is not enabled, or may not be read."""
        body = await self._policy(self._get(self._api.policies.default_app_management_policy))
        return default_policy(body) if body else None

    async def own_policy(self, application: ObjectId) -> Policy | None:
        """The enabled policy that is assigned to an application; None where it has none, or may not be read."""
        builder = self._api.applications.by_application_id(application).app_management_policies
        assigned = values_of(await self._policy(self._get(builder)))
        return own_policy(assigned[0]) if assigned else None

    async def _policy(self, info: RequestInformation) -> JSON | None:
        (answer,) = await self._wire.answers_together([info])
        if answer.status in {FORBIDDEN, NOT_FOUND}:
            return None
        if not answer.ok:
            raise refusal("read policy", answer.fault)
        return answer.body


def default_policy(body: JSON) -> Policy | None:
    """Read the tenant's default policy; one that is not enabled restricts nothing."""
    if not body.get("isEnabled"):
        return None
    ours, principals = body.get("applicationRestrictions") or {}, body.get("servicePrincipalRestrictions") or {}
    return Policy(
        secrets=tuple(_restrictions(ours.get("passwordCredentials"))),
        certificates=tuple(_restrictions(ours.get("keyCredentials"))),
        service_principals=tuple(_restrictions(principals.get("keyCredentials"))),
    )


def own_policy(body: JSON) -> Policy | None:
    """Read a policy that is assigned to an application; in place of one that is not enabled the default counts."""
    if not body.get("isEnabled"):
        return None
    restrictions = body.get("restrictions") or {}
    return Policy(
        secrets=tuple(_restrictions(restrictions.get("passwordCredentials"))),
        certificates=tuple(_restrictions(restrictions.get("keyCredentials"))),
    )


def _restrictions(entries: Iterable[JSON] | None) -> Iterable[Restriction]:
    for entry in entries or ():
        if entry.get("state") == "enabled":
            after, actors = entry.get("restrictForAppsCreatedAfterDateTime"), entry.get("excludeActors") or {}
            yield Restriction(
                kind=str(entry.get("restrictionType")),
                longest=_duration(entry.get("maxLifetime")),
                created_after=moment(after) if after else None,
                exempts=bool(actors.get("customSecurityAttributes")),
            )


def _duration(text: str | None) -> timedelta | None:
    """A duration as Graph writes it (ISO 8601); None for one that cannot be read: Graph's refusal is named."""
    try:
        return _DURATION.validate_python(text)
    except ValidationError:
        return None
