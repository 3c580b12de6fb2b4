"""The control plane: calls, mailbox, dump, clock, switches, the vendors' sides and the way back to the seed."""

from typing import Any

import pytest

from sandbox.calls import MASK, masked
from sandbox.graph.passwords import CANARY
from tests.published import problems_of_object
from tests.sandbox.conftest import Contoso


class OneVendor:
    """Vendors' sides that answer with what they were asked."""

    def __init__(self) -> None:
        self.forgotten = 0
        self.chosen: tuple[int | None, float | None] = None, None

    def choose(self, vendor: str, slots: int | None, poll_hours: float | None) -> bool:
        """Keep what was chosen, of the one vendor that is here."""
        self.chosen = slots, poll_hours
        return vendor == "thoropass"

    async def collect(self, vendor: str, instance: str) -> dict[str, Any]:
        """Answer as a side that is set up."""
        return {"configured": True, "acknowledged": True, "reason": f"{vendor}/{instance}"}

    async def sign_in(self, vendor: str, instance: str, user: str) -> dict[str, Any]:
        """Answer as a side that knows the person."""
        return {"signed_in": True, "claims": {"upn": user}, "reason": f"{vendor}/{instance}"}

    def reset(self) -> None:
        """Count."""
        self.forgotten += 1

    def kept(self) -> int:
        """Keep the count."""
        return self.forgotten

    def bring_back(self, kept: int) -> None:
        """Count as then."""
        self.forgotten = kept


async def test_calls_are_numbered_named_and_masked(sandbox_tenant: Contoso) -> None:
    """Every call has its number, service, operation, client-request-id and both bodies, without the secret."""
    made = await sandbox_tenant.graph("POST", "/applications", {"displayName": "x"}, headers={"client-request-id": "c"})
    await sandbox_tenant.graph("POST", f"/applications/{made.body['id']}/addPassword", {})
    await sandbox_tenant.call("GET", f"{sandbox_tenant.tenant.urls.vault}/secrets?api-version=7.6")
    calls = (await sandbox_tenant.control("GET", "/calls")).body
    assert [call["seq"] for call in calls] == [1, 2, 3]
    assert [call["service"] for call in calls] == ["graph", "graph", "vault"]
    assert [call["operation"] for call in calls] == [
        "applications.application_CreateApplication",
        "applications.application.addPassword",
        "GET /secrets",
    ]
    first, second, third = calls
    assert (first["method"], first["path"], first["status"]) == ("POST", "/v1.0/applications", 201)
    assert (first["client_request_id"], first["request"]) == ("c", {"displayName": "x"})
    assert first["response"]["id"] == made.body["id"]
    assert second["response"]["secretText"] == MASK
    assert CANARY not in str(calls)
    assert third["status"] == 401
    assert [call["seq"] for call in (await sandbox_tenant.control("GET", "/calls?since=2")).body] == [3]


async def test_the_record_of_calls_can_be_emptied_on_the_way(sandbox_tenant: Contoso) -> None:
    """Calls that are forgotten are not shown again, and the next one has the next number."""
    for _ in range(2):
        await sandbox_tenant.graph("GET", "/applications")
    assert (await sandbox_tenant.control("DELETE", "/calls")).status == 204
    assert (await sandbox_tenant.control("GET", "/calls")).body == []
    await sandbox_tenant.graph("GET", "/applications")
    for since in (0, 2):
        assert [call["seq"] for call in (await sandbox_tenant.control("GET", f"/calls?since={since}")).body] == [3]
    assert (await sandbox_tenant.control("GET", "/calls?since=3")).body == []


async def test_the_authority_is_recorded_without_secrets(sandbox_tenant: Contoso) -> None:
    """A token request is recorded as a form without its client secret."""
    urls, tenant_id = sandbox_tenant.tenant.urls, sandbox_tenant.tenant.directory.tenant_id
    form = {"grant_type": "client_credentials", "client_id": "x", "client_secret": "a-canary", "scope": "y/.default"}
    await sandbox_tenant.call("POST", f"{urls.authority}/{tenant_id}/oauth2/v2.0/token", data=form)
    (call,) = (await sandbox_tenant.control("GET", "/calls")).body
    assert (call["service"], call["request"]["client_secret"]) == ("authority", MASK)
    assert "a-canary" not in str(call)


@pytest.mark.parametrize(
    ("service", "value", "kept"),
    [
        (
            "graph",
            {"secretText": "x", "value": [{"secretText": None}]},
            {"secretText": MASK, "value": [{"secretText": None}]},
        ),
        ("graph", {"error": {"code": "Request_BadRequest"}}, {"error": {"code": "Request_BadRequest"}}),
        ("vault", {"value": "x"}, {"value": MASK}),
        ("vault", {"value": [{"id": "y"}]}, {"value": [{"id": "y"}]}),
        (
            "authority",
            {"code": "x", "access_token": "y", "scope": "z"},
            {"code": MASK, "access_token": MASK, "scope": "z"},
        ),
    ],
)
def test_what_is_masked(service: str, value: dict[str, Any], kept: dict[str, Any]) -> None:
    """Secret values are masked by the names they have at each service, and nothing else is."""
    assert masked(value, service) == kept


async def test_dump(sandbox_tenant: Contoso) -> None:
    """The dump shows every kind of object under Graph's property names."""
    application, principal = await sandbox_tenant.instantiated("ClickTime", "x")
    dump = (await sandbox_tenant.control("GET", "/dump")).body
    kinds = {"users", "groups", "applications", "service_principals", "grants", "assignments"}
    assert set(dump) == kinds | {"app_management_policies", "vault"}
    assert [row["id"] for row in dump["applications"]] == [application["id"]]
    assert principal["id"] in {row["id"] for row in dump["service_principals"]}
    for row in dump["service_principals"]:
        assert problems_of_object("servicePrincipal", row) == []


async def test_the_clock(sandbox_tenant: Contoso) -> None:
    """The clock goes where it is set, credentials follow it, and a reset brings it back."""
    await sandbox_tenant.control("PUT", "/clock", {"now": "2031-05-01T00:00:00Z", "rate": 60})
    told = (await sandbox_tenant.control("GET", "/clock")).body
    assert (told["now"][:13], told["rate"]) == ("2031-05-01T00", 60)
    application, _ = await sandbox_tenant.registered()
    assert application["createdDateTime"].startswith("2031-05-01")
    await sandbox_tenant.control("POST", "/reset")
    assert not (await sandbox_tenant.control("GET", "/clock")).body["now"].startswith("2031")


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("PUT", "/clock", {}),
        ("PUT", "/clock", {"now": "tomorrow"}),
        ("PUT", "/switches", {"presets": "some"}),
        ("PUT", "/switches", {"unknown": True}),
        ("GET", "/calls?since=x", None),
        ("GET", "/faults?since=x", None),
        ("POST", "/sign-in", {"vendor": "clicktime"}),
    ],
)
async def test_what_is_refused(sandbox_tenant: Contoso, method: str, path: str, body: Any) -> None:
    """A bad request to the control plane is 400 with a sentence."""
    reply = await sandbox_tenant.control(method, path, body)
    assert reply.status == 400
    assert "xpected" in reply.body


async def test_an_administrators_hand(sandbox_tenant: Contoso) -> None:
    """An object is changed and taken away beside Graph, as an administrator would."""
    user = sandbox_tenant.tenant.directory.user_by_upn("b.simon@contoso.com")
    assert user is not None
    await sandbox_tenant.control("PUT", f"/objects/users/{user['id']}", {"accountEnabled": False})
    read = await sandbox_tenant.graph("GET", f"/users/{user['id']}?$select=accountEnabled")
    assert read.body["accountEnabled"] is False
    assert (await sandbox_tenant.control("DELETE", f"/objects/users/{user['id']}")).status == 204
    assert (await sandbox_tenant.graph("GET", f"/users/{user['id']}")).status == 404


async def test_vendors_are_reached_and_reset(sandbox_tenant: Contoso) -> None:
    """Collecting and signing in reach the vendor's side with what was asked, and a reset makes it forget."""
    vendors = OneVendor()
    sandbox_tenant.tenant.vendors = vendors
    try:
        collected = await sandbox_tenant.control("POST", "/collect", {"vendor": "clicktime", "instance": "eu"})
        assert collected.body == {"configured": True, "acknowledged": True, "reason": "clicktime/eu"}
        who = {"vendor": "clicktime", "instance": "default", "user": "b.simon@contoso.com"}
        assert (await sandbox_tenant.control("POST", "/sign-in", who)).body["claims"] == {"upn": who["user"]}
        chosen = {"slots": 2, "poll_hours": 24}
        assert (await sandbox_tenant.control("PUT", "/vendors/thoropass", chosen)).status == 204
        assert list(vendors.chosen) == [2, 24]
        assert (await sandbox_tenant.control("PUT", "/vendors/nobody", chosen)).status == 404
        assert (await sandbox_tenant.control("PUT", "/vendors/thoropass", {"slots": 0})).status == 400
        await sandbox_tenant.control("POST", "/reset")
        assert vendors.forgotten == 1
    finally:
        sandbox_tenant.tenant.vendors = None


async def test_reset(sandbox_tenant: Contoso) -> None:
    """A reset empties tenant, vault, mailbox and calls, and whatever else asked for it; cached tokens stay good."""
    emptied: list[str] = []

    async def empty() -> None:
        """Stand for the storage that is emptied too."""
        emptied.append("storage")

    token = sandbox_tenant.token(audience=sandbox_tenant.tenant.urls.graph)
    await sandbox_tenant.registered()
    await sandbox_tenant.vault("PUT", "/secrets/one", {"value": "x"})
    sandbox_tenant.tenant.on_reset.append(empty)
    try:
        assert (await sandbox_tenant.control("POST", "/reset")).status == 204
    finally:
        sandbox_tenant.tenant.on_reset.remove(empty)
    dump = (await sandbox_tenant.control("GET", "/dump")).body
    assert (dump["applications"], dump["vault"], emptied) == ([], {}, ["storage"])
    assert (await sandbox_tenant.control("GET", "/calls")).body == []
    url = f"{sandbox_tenant.tenant.urls.graph}/v1.0/users?$top=1"
    assert (await sandbox_tenant.call("GET", url, headers={"Authorization": f"Bearer {token}"})).status == 200


async def test_what_was_kept_is_brought_back(sandbox_tenant: Contoso) -> None:
    """A reset to a name brings tenant, vault, clock and vendors to where they were then, however often."""
    vendors = OneVendor()
    sandbox_tenant.tenant.vendors = vendors
    try:
        application, _ = await sandbox_tenant.registered()
        await sandbox_tenant.vault("PUT", "/secrets/one", {"value": "x"})
        await sandbox_tenant.control("PUT", "/clock", {"now": "2031-05-01T00:00:00Z"})
        await sandbox_tenant.control("PUT", "/switches", {"most_assignments": 7})
        dump = (await sandbox_tenant.control("GET", "/dump")).body
        assert (await sandbox_tenant.control("PUT", "/kept/here")).status == 204
        for _ in range(2):
            assert (await sandbox_tenant.graph("DELETE", f"/applications/{application['id']}")).status == 204
            await sandbox_tenant.vault("PUT", "/secrets/one", {"value": "y"})
            await sandbox_tenant.control("POST", "/reset")
            assert (await sandbox_tenant.control("POST", "/reset?to=here")).status == 204
            assert (await sandbox_tenant.control("GET", "/dump")).body == dump
            assert (await sandbox_tenant.control("GET", "/clock")).body["now"].startswith("2031-05-01T00:0")
            assert (await sandbox_tenant.control("GET", "/switches")).body["most_assignments"] == 7
            assert (await sandbox_tenant.control("GET", "/calls")).body == []
            assert vendors.forgotten == 0
        assert (await sandbox_tenant.control("POST", "/reset?to=nowhere")).status == 404
    finally:
        sandbox_tenant.tenant.vendors = None
