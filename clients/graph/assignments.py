"""App role assignments: given and taken by one `$batch`, and looked up from the principal's side."""

from collections.abc import Sequence
from typing import Any

from kiota_abstractions.base_request_builder import BaseRequestBuilder
from kiota_abstractions.method import Method
from kiota_abstractions.request_information import RequestInformation

from clients.graph import decode
from clients.graph.calls import PAGE_SIZE, GraphCalls, values_of
from clients.graph.refusals import ALREADY_ASSIGNED, refusal, says
from clients.graph.wire import JSON, Answer
from sso.assignment import Change
from sso.errors import GatehouseError
from sso.model import AppRoleAssignment, ObjectId

NOT_FOUND = 404


class AssignmentCalls(GraphCalls):
    """Calls on appRoleAssignedTo, appRoleAssignments and members."""

    async def change_assignments(
        self, writes: Sequence[tuple[Change, AppRoleAssignment | None]]
    ) -> list[GatehouseError | None]:
        """Give each change's role, or take the assignment that stands beside it, by one `$batch` of up to 20.

        Per write None or why not. Already there (Graph says so in two wordings, graph-contract 3) and already gone are
        success.
        """
        infos = [self._take(held) if held else self._give(change) for change, held in writes]
        answers = await self._wire.batch(infos) if infos else []
        return [_taken(answer) if held else _given(answer) for (_, held), answer in zip(writes, answers, strict=True)]

    async def assignments_held(
        self, asked: Sequence[tuple[str, ObjectId, ObjectId | None]]
    ) -> list[tuple[AppRoleAssignment, ...]]:
        """What each principal (kind, ID) holds of one application, or of all; nothing where it is unknown."""
        looks = [
            self._get(
                self._of_principal(kind, principal),
                filter_=f"resourceId eq {application}" if application else None,
                top=PAGE_SIZE,
            )
            for kind, principal, application in asked
        ]
        pages = await self._wire.read_together("find assignments", looks) if looks else []
        return [
            tuple(map(decode.assignment, values_of(page) + await self._further("find assignments", page)))
            for page in pages
        ]

    async def members_of(self, groups: Sequence[ObjectId]) -> list[tuple[tuple[ObjectId, str | None], ...]]:
        """The direct members of each group: their IDs, and the name of each that is a group itself."""
        looks = [
            self._get(self._api.groups.by_group_id(group).members, select=["id", "displayName"], top=PAGE_SIZE)
            for group in groups
        ]
        pages = await self._wire.read_together("find groups", looks) if looks else []
        return [tuple(map(_member, values_of(page) + await self._further("find groups", page))) for page in pages]

    def _give(self, change: Change) -> RequestInformation:
        builder = self._assigned_to(change.service_principal_id)
        body = {
            "principalId": change.principal_id,
            "resourceId": change.service_principal_id,
            "appRoleId": change.role_id,
        }
        return self._wire.request(Method.POST, builder.url_template, dict(builder.path_parameters), body)

    def _take(self, held: AppRoleAssignment) -> RequestInformation:
        builder = self._assigned_to(held.service_principal_id).by_app_role_assignment_id(held.id)
        return self._wire.request(Method.DELETE, builder.url_template, dict(builder.path_parameters))

    def _of_principal(self, kind: str, principal: ObjectId) -> BaseRequestBuilder:
        if kind == "group":
            return self._api.groups.by_group_id(principal).app_role_assignments
        return self._api.users.by_user_id(principal).app_role_assignments

    def _assigned_to(self, object_id: ObjectId) -> Any:  # the SDK's builder, whose class is imported late
        return self._api.service_principals.by_service_principal_id(object_id).app_role_assigned_to


def _member(body: JSON) -> tuple[ObjectId, str | None]:
    is_group = body.get("@odata.type") == "#microsoft.graph.group"
    return ObjectId(body["id"]), str(body.get("displayName") or body["id"]) if is_group else None


def _given(answer: Answer) -> GatehouseError | None:
    if answer.ok or says(answer.fault, ALREADY_ASSIGNED):
        return None
    return refusal("assign", answer.fault)


def _taken(answer: Answer) -> GatehouseError | None:
    if answer.ok or answer.status == NOT_FOUND:
        return None
    return refusal("revoke", answer.fault)
