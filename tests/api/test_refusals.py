"""Bad requests over the wire: a problem document that names every field, and nothing written."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pytest

from tests.api.answers import nothing_changes, problem
from tests.world import World, request

SMARTTRACE = {"InstanceName": "contoso"}
BY_ALIAS = "twin@contoso.com"


@dataclass(frozen=True)
class Case:
    """What is changed in a good body, and the fields to blame."""

    changes: Mapping[str, Any]
    fields: tuple[str, ...]
    vendor: str = "smarttrace"


CASES: Mapping[str, Case] = {
    "an unknown field": Case({"secret": "x"}, ("secret",)),
    "several unknown fields": Case({"mail_to": "x", "url": "y"}, ("mail_to", "url")),
    "a field of the wrong case": Case({"Owner": "app-owner@contoso.com"}, ("Owner",)),
    "a vendor that is no text": Case({"vendor": 7}, ("vendor",)),
    "no vendor": Case({"vendor": None}, ("vendor",)),
    "an instance that is no name": Case({"instance": "EMEA!"}, ("instance",)),
    "an instance that is no text": Case({"instance": ["emea"]}, ("instance",)),
    "an instance that is too long": Case({"instance": "e" * 31}, ("instance",)),
    "parameters that are a list": Case({"parameters": ["InstanceName"]}, ("parameters",)),
    "a missing parameter": Case({"parameters": {}}, ("parameters.InstanceName",)),
    "a parameter that is no text": Case({"parameters": {"InstanceName": 7}}, ("parameters.InstanceName",)),
    "a parameter that does not match": Case({"parameters": {"InstanceName": "a b"}}, ("parameters.InstanceName",)),
    "an empty parameter": Case({"parameters": {"InstanceName": ""}}, ("parameters.InstanceName",)),
    "a parameter that is too long": Case({"parameters": {"InstanceName": "a" * 201}}, ("parameters.InstanceName",)),
    "an extra parameter": Case({"parameters": {**SMARTTRACE, "Region": "eu"}}, ("parameters.Region",)),
    "a parameter for a vendor that takes none": Case(
        {"parameters": SMARTTRACE}, ("parameters.InstanceName",), "thoropass"
    ),
    "no owner": Case({"owner": None}, ("owner",)),
    "an owner that is no text": Case({"owner": {"mail": "app-owner@contoso.com"}}, ("owner",)),
    "an unknown owner": Case({"owner": "nobody@contoso.com"}, ("owner",)),
    "an owner of another directory": Case({"owner": "somebody@evil.example"}, ("owner",)),
    "an ambiguous owner": Case({"owner": BY_ALIAS}, ("owner",)),
    "a distribution list as owner": Case({"owner": "all-employees@contoso.com"}, ("owner",)),
    "a security group without mail as owner": Case({"owner": "Sales"}, ("owner",)),
    "assignments that are a list": Case({"assignments": []}, ("assignments",)),
    "assignments that are nothing but false": Case({"assignments": False}, ("assignments",)),
    "an unknown field of assignments": Case({"assignments": {"people": []}}, ("assignments",)),
    "users that are no list": Case({"assignments": {"users": "b.simon@contoso.com"}}, ("assignments.users",)),
    "a user that is no text": Case({"assignments": {"users": [None]}}, ("assignments.users[0]",)),
    "an unknown user": Case(
        {"assignments": {"users": ["b.simon@contoso.com", "nobody@contoso.com"]}}, ("assignments.users[1]",)
    ),
    "an ambiguous user": Case({"assignments": {"users": [BY_ALIAS]}}, ("assignments.users[0]",)),
    "an unknown group": Case({"assignments": {"groups": ["Sails"]}}, ("assignments.groups[0]",)),
    "an ambiguous group": Case({"assignments": {"groups": ["Project Phoenix"]}}, ("assignments.groups[0]",)),
    "a group that is no security group": Case(
        {"assignments": {"groups": ["All Employees"]}}, ("assignments.groups[0]",)
    ),
    "a group named as a user": Case({"assignments": {"users": ["Sales"]}}, ("assignments.users[0]",)),
    "a role that is no text": Case({"assignments": {"role": 1}}, ("assignments.role",)),
    "a ticket with a space": Case({"ticket": "IT 1234"}, ("ticket",)),
    "a ticket that is a number": Case({"ticket": 1234}, ("ticket",)),
    "a ticket that is too long": Case({"ticket": "I" * 65}, ("ticket",)),
    "a claim that is empty": Case({"requested_by": "  "}, ("requested_by",)),
    "a claim that is too long": Case({"requested_by": "x" * 257}, ("requested_by",)),
    "a display name that is a number": Case({"display_name": 3.5}, ("display_name",)),
    "an address with another instance's fault and a field's fault": Case(
        {"owner": "nobody@contoso.com", "ticket": "no ticket", "parameters": {}},
        ("owner", "parameters.InstanceName", "ticket"),
    ),
    "a malformed field and an unknown user, answered together": Case(
        {"display_name": 1, "assignments": {"users": ["nobody@contoso.com"]}}, ("assignments.users[0]", "display_name")
    ),
    "an unknown vendor and an unknown owner, answered together": Case(
        {"vendor": "smartrace", "owner": "nobody@contoso.com"}, ("vendor", "owner")
    ),
}


def changed(vendor: str, changes: Mapping[str, Any]) -> dict[str, Any]:
    """A good body with some fields changed, the vendor too; one changed to None is left out."""
    return {name: value for name, value in {**request(vendor), **changes}.items() if value is not None}


@pytest.fixture(scope="module")
async def twins(quiet: World) -> World:
    """Two people who share an alias, as a directory that is synchronised twice may have."""
    for user in [
        u for u in (await quiet.dump())["users"] if u["userPrincipalName"].startswith(("helpdesk", "gatehouse"))
    ]:
        aliases = [*user["proxyAddresses"], f"smtp:{BY_ALIAS}"]
        await quiet.control("PUT", f"/objects/users/{user['id']}", {"proxyAddresses": aliases})
    return quiet


@pytest.mark.parametrize("case", CASES.values(), ids=list(CASES))
async def test_bad_field_is_named_and_nothing_written(twins: World, case: Case) -> None:
    """Each bad field is blamed by its path, with a sentence, in one answer; neither plan nor acceptance differ."""
    body = changed(case.vendor, case.changes)
    async with nothing_changes(twins):
        details = problem(await twins.api("POST", "/onboardings", body), 400, *case.fields)
        assert problem(await twins.api("POST", "/onboardings?mode=plan", body), 400, *case.fields) == details
    assert all(detail.endswith((".", "?")) for detail in details)


@pytest.mark.parametrize(
    ("kind", "is_one", "word"),
    [
        ("a guest", lambda user: user["userType"] == "Guest" and user["accountEnabled"], "guest"),
        ("somebody disabled", lambda user: not user["accountEnabled"] and user["userType"] == "Member", "disabled"),
    ],
)
async def test_owner_who_cannot_answer_is_refused(quiet: World, kind: str, is_one: Any, word: str) -> None:
    """A guest or a disabled account owns nothing, whether named by principal name, mail or object ID."""
    user = next(user for user in (await quiet.dump())["users"] if is_one(user))
    async with nothing_changes(quiet):
        for name in (user["userPrincipalName"], user["mail"], user["id"]):
            (detail,) = problem(await quiet.api("POST", "/onboardings", request("thoropass", owner=name)), 400, "owner")
            assert word in detail, f"{kind} as owner"


@pytest.mark.parametrize(
    ("written", "meant"),
    [("smartrace", "smarttrace"), ("Click Time", "clicktime"), ("ilogon", "ilogon_mha"), ("thoropas", "thoropass")],
)
async def test_unknown_vendor_is_answered_with_the_nearest(quiet: World, written: str, meant: str) -> None:
    """Who mistypes a vendor reads which one was probably meant."""
    async with nothing_changes(quiet):
        reply = await quiet.api("POST", "/onboardings", changed("thoropass", {"vendor": written}))
        (detail,) = problem(reply, 400, "vendor")
        assert meant in detail


@pytest.mark.parametrize(
    "vendor", ["../smarttrace", "smarttrace.toml", "/etc/passwd", "smarttrace\x00", "a" * 5000, ""]
)
async def test_vendor_is_a_name_and_never_a_path(quiet: World, vendor: str) -> None:
    """What is no slug is an unknown vendor, and its text is not repeated at length."""
    async with nothing_changes(quiet):
        reply = await quiet.api("POST", "/onboardings", changed("thoropass", {"vendor": vendor}))
        problem(reply, 400, "vendor")
        assert len(reply.text) < 1500


@pytest.mark.parametrize("kind", ["users", "groups"])
async def test_two_hundred_principals_and_no_more(quiet: World, kind: str) -> None:
    """201 names are refused as too many, also where they repeat one another."""
    people = [user["userPrincipalName"] for user in (await quiet.dump())["users"]][:201]
    assert len(people) == 201
    async with nothing_changes(quiet):
        for names in (people, [people[0]] * 201):
            body = request("thoropass", assignments={kind: names})
            details = problem(await quiet.api("POST", "/onboardings", body), 400)
            assert any("at most 200" in detail for detail in details)
        both = request("thoropass", assignments={"users": people[:150], "groups": [f"group {n}" for n in range(51)]})
        assert any("at most 200" in detail for detail in problem(await quiet.api("POST", "/onboardings", both), 400))


BODIES: Mapping[str, bytes] = {
    "nothing": b"",
    "cut JSON": b'{"vendor": "smarttrace"',
    "two objects": b'{"vendor": "smarttrace"} {}',
    "no JSON": b"vendor=smarttrace",
    "bytes that are no UTF-8": b'{"vendor": "\xff\xfe"}',
    "a list": b'[{"vendor": "smarttrace"}]',
    "a text": b'"smarttrace"',
    "a number": b"7",
    "null": b"null",
    "a number with ten thousand digits": b'{"vendor": ' + b"1" * 10_000 + b"}",
    "fifteen thousand brackets": b"[" * 15_000,
    "a closed nest of fifteen thousand lists": b"[" * 15_000 + b"]" * 15_000,
    "a nest in a field": b'{"vendor":' + b'{"a":' * 900 + b"1" + b"}" * 900 + b"}",
    "a lone surrogate as a value": b'{"vendor": "\\ud800", "ticket": "\\udfff", "owner": "\\ud800@contoso.com"}',
    "a lone surrogate as a name": b'{"\\ud800": 1, "vendor": "thoropass"}',
    "a lone surrogate as a ticket": b'{"vendor": "thoropass", "owner": "app-owner@contoso.com", "ticket": "\\ud800"}',
    "a lone surrogate as a parameter": b'{"vendor": "smarttrace", "parameters": {"\\ud800": "\\ud800"}}',
    "a null character": b'{"vendor": "thoropass", "owner": "app-owner\\u0000@contoso.com"}',
    "infinity": b'{"vendor": "thoropass", "owner": Infinity}',
}


@pytest.mark.parametrize("body", BODIES.values(), ids=list(BODIES))
async def test_body_that_is_no_request_is_answered_in_words(quiet: World, body: bytes) -> None:
    """Whatever bytes come, the answer is a problem document and nothing is written."""
    async with nothing_changes(quiet):
        for path in ("/onboardings", "/onboardings?mode=plan"):
            problem(await quiet.api("POST", path, data=body, headers={"Content-Type": "application/json"}), 400)


@pytest.mark.parametrize(
    ("method", "path", "limit"),
    [
        ("POST", "/onboardings", 32 * 1024),
        ("POST", "/onboardings?mode=plan", 32 * 1024),
        ("PUT", "/applications/smarttrace/default/parameters", 128 * 1024),
        ("POST", "/applications/smarttrace/default/acknowledgements", 128 * 1024),
    ],
)
async def test_long_body_is_refused_unread(quiet: World, method: str, path: str, limit: int) -> None:
    """One byte over the limit is 413, and at the limit the content decides."""
    async with nothing_changes(quiet):
        too_long = b'{"ticket":"' + b"x" * (limit - 12) + b'"}'
        assert len(too_long) == limit + 1
        (detail,) = problem(await quiet.api(method, path, data=too_long), 413)
        assert str(limit) in detail
        problem(await quiet.api(method, path, data=too_long.replace(b"xx", b"x", 1)), 400)


@pytest.mark.parametrize("mode", ["dry", "PLAN", "plan&mode=apply"])
async def test_mode_is_plan_or_nothing(quiet: World, mode: str) -> None:
    """A mistyped mode is refused, and not taken for an order to go ahead."""
    async with nothing_changes(quiet):
        reply = await quiet.api("POST", f"/onboardings?mode={mode}", request("thoropass"))
        problem(reply, 400, "mode")


@pytest.mark.parametrize(
    ("body", "fields"),
    [
        ({}, ("key_id", "by")),
        ([], ("key_id", "by")),
        ({"key_id": "x", "thumbprint": "y", "by": "support"}, ("key_id",)),
        ({"key_id": 7, "by": "support"}, ("key_id",)),
        ({"key_id": "x", "by": ""}, ("by",)),
        ({"key_id": "x", "by": "support", "note": 7}, ("note",)),
        ({"key_id": "x", "by": "support", "note": "x" * 1001}, ("note",)),
        ({"key_id": "x", "by": "support", "when": "now"}, ("",)),
    ],
)
async def test_bad_acknowledgement_is_refused(quiet: World, body: Any, fields: tuple[str, ...]) -> None:
    """An acknowledgement names one credential and who said so; everything else is refused, all at once."""
    async with nothing_changes(quiet):
        reply = await quiet.api("POST", "/applications/smarttrace/default/acknowledgements", body)
        problem(reply, 400, *fields)


@pytest.mark.parametrize("body", [{}, [], "text", {"InstanceName": "contoso"}, {"Region": "eu"}, {"InstanceName": 7}])
async def test_parameters_that_the_vendor_does_not_supply_are_refused(quiet: World, body: Any) -> None:
    """Only what the profile says comes from the vendor is taken afterwards."""
    async with nothing_changes(quiet):
        problem(await quiet.api("PUT", "/applications/smarttrace/default/parameters", body), 400)
