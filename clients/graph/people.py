"""People: users and groups looked up, mail sent."""

from collections.abc import Sequence
from typing import Any

from kiota_abstractions.method import Method
from kiota_abstractions.request_information import RequestInformation

from clients.graph import decode
from clients.graph.calls import PAGE_SIZE, GraphCalls, quoted, values_of
from clients.graph.together import together
from clients.graph.wire import JSON
from sso.model import (
    ObjectId,
    Principal,
)


class PeopleCalls(GraphCalls):
    """Calls on /users and /groups."""

    async def principals(
        self, users: Sequence[str], groups: Sequence[str], either: Sequence[str]
    ) -> tuple[dict[str, tuple[Principal, ...]], dict[str, tuple[Principal, ...]], dict[str, tuple[Principal, ...]]]:
        """Look people and groups up by object ID, principal name, mail address, alias or (groups) name.

        Three mappings from the text given to its hits: users, groups, and `either` (owners, who may be both).
        """
        user_looks = {text: self._user_looks(text) for text in dict.fromkeys([*users, *either])}
        # An object ID is one thing or the other: most are people, and of those no group is asked for.
        named = [text for text in either if not decode.is_id(text)]
        group_looks = {text: self._group_looks(text) for text in dict.fromkeys([*groups, *named])}
        # Two questions, because each needs a permission of its own; they travel in one batch.
        found_users, found_groups = await together(
            self._wire.read_together("find users", [info for looks in user_looks.values() for info in looks]),
            self._wire.read_together("find groups", [info for looks in group_looks.values() for info in looks]),
        )
        of_users, of_groups = iter(found_users), iter(found_groups)
        people = {text: _hits(decode.user, [next(of_users) for _ in looks]) for text, looks in user_looks.items()}
        teams = {text: _hits(decode.group, [next(of_groups) for _ in looks]) for text, looks in group_looks.items()}
        by_id = {text: self._group_looks(text) for text in either if text not in teams and not people[text]}
        found_by_id = iter(
            await self._wire.read_together("find groups", [i for looks in by_id.values() for i in looks])
        )
        teams |= {text: _hits(decode.group, [next(found_by_id) for _ in looks]) for text, looks in by_id.items()}
        return (
            {text: people[text] for text in users},
            {text: teams[text] for text in groups},
            {text: people[text] + teams.get(text, ()) for text in either},
        )

    async def principal(self, object_id: ObjectId) -> Principal | None:
        """The user or group of an object ID, if it is still there."""
        found = await self.principals([], [], [object_id])
        return next(iter(found[2][object_id]), None)

    async def is_member(self, group: str, member: ObjectId) -> bool:
        """Whether somebody belongs directly to a group (by object ID)."""
        page = await self._wire.send(
            "find groups",
            self._get(self._api.groups.by_group_id(group).members, select=["id"], top=PAGE_SIZE),
            repeat=True,
            missing_is_none=True,
        )
        bodies = values_of(page) + await self._further("find groups", page)
        return any(body["id"] == member for body in bodies)

    async def send_mail(self, sender: str, mime: bytes) -> None:
        """Send a MIME message as `sender` (learn.microsoft.com/graph/api/user-sendmail); never repeated here."""
        builder = self._api.users.by_user_id(sender).send_mail
        info = self._wire.request(Method.POST, builder.url_template, builder.path_parameters)
        info.set_stream_content(mime, "text/plain")
        await self._wire.send("send mail", info, repeat=False)

    def _user_looks(self, text: str) -> list[RequestInformation]:
        name = quoted(text)
        by_text = f"userPrincipalName eq '{name}' or mail eq '{name}' or proxyAddresses/any(p:p eq 'smtp:{name}')"
        looks = [self._get(self._api.users, select=decode.USER_FIELDS, filter_=by_text)]
        if decode.is_id(text):
            looks = [self._get(self._api.users.by_user_id(text), select=decode.USER_FIELDS)]
        return looks

    def _group_looks(self, text: str) -> list[RequestInformation]:
        name = quoted(text)
        by_text = f"displayName eq '{name}' or mail eq '{name}' or proxyAddresses/any(p:p eq 'smtp:{name}')"
        looks = [self._get(self._api.groups, select=decode.GROUP_FIELDS, filter_=by_text)]
        if decode.is_id(text):
            looks = [self._get(self._api.groups.by_group_id(text), select=decode.GROUP_FIELDS)]
        return looks


def _hits(read: Any, answers: Sequence[JSON | None]) -> tuple[Principal, ...]:  # user or group reader
    found: dict[str, Principal] = {}
    for answer in answers:
        for body in values_of(answer) if answer and "value" in answer else [answer] if answer else []:
            found[body["id"]] = read(body)
    return tuple(found.values())
