"""Graph's users and groups: list, read, members; and the end of an account: disabled, its sessions revoked."""

from sandbox.directory import GraphObject
from sandbox.graph.errors import denied, not_found
from sandbox.graph.pages import entity, page
from sandbox.graph.schemas import check_properties
from sandbox.graph.wire import NO_CONTENT, GraphAnswer, GraphRequest, Handler

DEFAULT_USER_PROPERTIES = (
    # learn.microsoft.com/graph/api/resources/users#common-properties: all that is returned without $select.
    "businessPhones",
    "displayName",
    "givenName",
    "id",
    "jobTitle",
    "mail",
    "mobilePhone",
    "officeLocation",
    "preferredLanguage",
    "surname",
    "userPrincipalName",
)


def get_user(request: GraphRequest) -> GraphObject:
    """Find the user the path names, by object ID or user principal name, or refuse with 404."""
    wanted = request.parameters["user-id"]
    found = request.store.find("users", wanted.lower()) or request.store.find_by("users", "userPrincipalName", wanted)
    if found is None:
        raise not_found(wanted)
    return found


async def list_users(request: GraphRequest) -> GraphAnswer:
    """List users."""
    return page(request, request.store.rows("users"), "user", "users", defaults=DEFAULT_USER_PROPERTIES)


async def read_user(request: GraphRequest) -> GraphAnswer:
    """Return one user; few properties unless more are selected."""
    return entity(request, get_user(request), "user", "users", defaults=DEFAULT_USER_PROPERTIES)


async def change_user(request: GraphRequest) -> GraphAnswer:
    """Enable or disable an account, which is all that this tenant lets an application change of a person."""
    sent = request.json_object()
    check_properties("user", sent)
    if set(sent) - {"accountEnabled"}:
        raise denied()
    request.store.put("users", {**get_user(request), **sent})
    return NO_CONTENT


async def revoke_sessions(request: GraphRequest) -> GraphAnswer:
    """End the refresh tokens and browser sessions that Entra has given; a vendor's own session goes on."""
    user = {**get_user(request), "signInSessionsValidFromDateTime": request.now}
    request.store.put("users", user)
    return GraphAnswer(200, {"@odata.context": f"{request.root}/$metadata#Edm.Boolean", "value": True})


async def list_groups(request: GraphRequest) -> GraphAnswer:
    """List groups."""
    return page(request, request.store.rows("groups"), "group", "groups")


async def read_group(request: GraphRequest) -> GraphAnswer:
    """Return one group."""
    return entity(request, request.store.get("groups", request.parameters["group-id"]), "group", "groups")


async def list_members(request: GraphRequest) -> GraphAnswer:
    """List a group's direct members: users, and groups whose own members are not listed."""
    group = request.store.get("groups", request.parameters["group-id"])
    members = request.directory.members.get(group["id"], set())
    rows = [
        {"@odata.type": "#microsoft.graph.user", **{name: user.get(name) for name in DEFAULT_USER_PROPERTIES}}
        for user in request.store.rows("users")
        if user["id"] in members
    ]
    rows += [
        {"@odata.type": "#microsoft.graph.group", "id": inner["id"], "displayName": inner["displayName"]}
        for inner in request.store.rows("groups")
        if inner["id"] in members
    ]
    return page(request, rows, "user", "directoryObjects")


HANDLERS: dict[str, Handler] = {
    "users.user_ListUser": list_users,
    "users.user_GetUser": read_user,
    "users.user_UpdateUser": change_user,
    "users.user.revokeSignInSessions": revoke_sessions,
    "groups.group_ListGroup": list_groups,
    "groups.group_GetGroup": read_group,
    "groups.ListMembers": list_members,
}
