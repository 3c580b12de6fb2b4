"""People as rules see them: their attributes, groups and assignments, and the end of their account."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from kiota_abstractions.method import Method

from clients.graph import decode
from clients.graph.calls import PAGE_SIZE, GraphCalls, quoted, values_of
from clients.graph.wire import JSON
from sso.model import AppRoleAssignment, ObjectId, Principal

if TYPE_CHECKING:  # a first answer of Graph needs no rules, whose schema brings pydantic
    from sso.entitlements import AttributeName

PERSON_FIELDS = [
    *decode.USER_FIELDS,
    *("department", "jobTitle", "employeeType", "country", "usageLocation", "officeLocation"),
]


class DirectoryCalls(GraphCalls):
    """Calls on people that only rules and HR events make."""

    async def people_named(self, name: str) -> list[tuple[Principal, dict["AttributeName", str]]]:
        """Whoever has this object ID, principal name, address or alias, with attributes; nobody where unknown."""
        if decode.is_id(name):
            info = self._get(self._api.users.by_user_id(name), select=PERSON_FIELDS)
            body = await self._wire.send("find users", info, repeat=True, missing_is_none=True)
            return [_person(body)] if body else []
        text = quoted(name)
        by_text = f"userPrincipalName eq '{text}' or mail eq '{text}' or proxyAddresses/any(p:p eq 'smtp:{text}')"
        page = await self._wire.send(
            "find users", self._get(self._api.users, select=PERSON_FIELDS, filter_=by_text), repeat=True
        )
        return [_person(body) for body in values_of(page)]

    async def all_people(self) -> list[tuple[Principal, dict["AttributeName", str]]]:
        """Every user with the attributes that rules look at."""
        page = await self._wire.send(
            "find users", self._get(self._api.users, select=PERSON_FIELDS, top=PAGE_SIZE), repeat=True
        )
        return [_person(body) for body in values_of(page) + await self._further("find users", page)]

    async def members(self, group: ObjectId) -> frozenset[ObjectId]:
        """The direct members of a group; those of nested groups are none of it (graph-contract 5)."""
        builder = self._api.groups.by_group_id(group).members
        page = await self._wire.send(
            "find groups", self._get(builder, select=["id"], top=PAGE_SIZE), repeat=True, missing_is_none=True
        )
        bodies = values_of(page) + await self._further("find groups", page)
        return frozenset(ObjectId(body["id"]) for body in bodies)

    async def held_by(self, person: ObjectId) -> list[AppRoleAssignment]:
        """The assignments of a person's own, on whatever application."""
        builder = self._api.users.by_user_id(person).app_role_assignments
        page = await self._wire.send(
            "read assignments", self._get(builder, top=PAGE_SIZE), repeat=True, missing_is_none=True
        )
        bodies = values_of(page) + await self._further("read assignments", page)
        return [decode.assignment(body) for body in bodies]

    async def assigned_to(self, service_principals: Sequence[ObjectId]) -> Mapping[ObjectId, list[AppRoleAssignment]]:
        """Who is assigned to each of these applications, people and groups."""
        infos = [
            self._get(self._api.service_principals.by_service_principal_id(one).app_role_assigned_to, top=PAGE_SIZE)
            for one in service_principals
        ]
        pages = await self._wire.read_together("read assignments", infos)
        rest = await asyncio.gather(*(self._further("read assignments", page) for page in pages))
        return {
            one: [decode.assignment(body) for body in values_of(page) + more]
            for one, page, more in zip(service_principals, pages, rest, strict=True)
        }

    async def disable_account(self, person: ObjectId) -> None:
        """Let somebody sign in no more; idempotent."""
        builder = self._api.users.by_user_id(person)
        await self._write("disable account", Method.PATCH, builder, {"accountEnabled": False}, repeat=True)

    async def revoke_sessions(self, person: ObjectId) -> None:
        """End the sessions and refresh tokens that Entra has given somebody; repeating it does no harm."""
        builder = self._api.users.by_user_id(person).revoke_sign_in_sessions
        info = self._wire.request(Method.POST, builder.url_template, dict(builder.path_parameters))
        await self._wire.send("revoke sessions", info, repeat=True)


def _person(body: JSON) -> tuple[Principal, dict["AttributeName", str]]:
    said: dict[AttributeName, str | None] = {
        "department": body.get("department"),
        "jobTitle": body.get("jobTitle"),
        "employeeType": body.get("employeeType"),
        "country": body.get("country") or body.get("usageLocation"),
        "location": body.get("officeLocation"),
    }
    return decode.user(body), {name: value for name, value in said.items() if value}
