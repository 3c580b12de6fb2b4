"""Hostile text in every field: refused, or escaped wherever people read it, and never in a header."""

import html
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from tests.api.answers import nothing_changes, problem, shaped, until
from tests.world import World, request

TEMPLATE = "{{7*7}}{% for x in [1] %}${7*7}<%= 7*7 %>"
MARKUP = "<script>alert(1)</script><img src=x onerror=alert(1)>\"'&"
HEADER = "x\r\nBcc: attacker@evil.example\r\n\r\nbody"
BIDI = "Sales\u202egnp.exe"
ZERO_WIDTH = "Sa\u200bles"
NULL = "Sales\x00"
HOSTILE = {
    "a header": HEADER,
    "a line break": "x\ny",
    "turned text": BIDI,
    "invisible text": ZERO_WIDTH,
    "a null": NULL,
    "a terminal's colours": "\x1b[31mred",
    "a line separator": "x\u2028y",
}
FIELDS: Mapping[str, Callable[[str], dict[str, Any]]] = {
    "vendor": lambda text: {"vendor": text},
    "instance": lambda text: {"instance": text},
    "owner": lambda text: {"owner": text},
    "assignments.users[0]": lambda text: {"assignments": {"users": [text]}},
    "assignments.groups[0]": lambda text: {"assignments": {"groups": [text]}},
    "assignments.role": lambda text: {"assignments": {"role": text}},
    "parameters.InstanceName": lambda text: {"parameters": {"InstanceName": text}},
    "ticket": lambda text: {"ticket": text},
    "requested_by": lambda text: {"requested_by": text},
    "display_name": lambda text: {"display_name": text},
}
# Fields that are free text; in all others template and markup are refused too.
FREE = {"requested_by", "display_name", "assignments.role"}


@pytest.mark.parametrize("field", FIELDS)
async def test_text_that_breaks_or_hides_is_refused(quiet: World, field: str) -> None:
    """Line breaks, turned, invisible and control characters are refused in every field, by name."""
    async with nothing_changes(quiet):
        for text in HOSTILE.values():
            reply = await quiet.api("POST", "/onboardings", {**request("smarttrace"), **FIELDS[field](text)})
            problem(reply, 400, field)


@pytest.mark.parametrize("field", sorted(FIELDS.keys() - FREE))
@pytest.mark.parametrize("text", [TEMPLATE, MARKUP], ids=["template", "markup"])
async def test_name_that_is_a_template_is_no_name(quiet: World, field: str, text: str) -> None:
    """Where a name is expected, templates and markup name nothing."""
    async with nothing_changes(quiet):
        reply = await quiet.api("POST", "/onboardings", {**request("smarttrace"), **FIELDS[field](text)})
        problem(reply, 400, field)


@pytest.mark.parametrize(
    "text",
    [
        "../../evil",
        "..",
        "contoso/../../evil",
        "@evil.example",
        "contoso@evil.example",
        "//evil.example",
        "https://evil.example",
        "evil.example",
        "contoso?next=evil",
        "contoso#evil",
        "%2e%2e%2fevil",
        "contoso\\evil",
        "contoso:443",
        "*",
        "{InstanceName}",
        "\uff0fevil",
        "contoso evil",
    ],
)
async def test_parameter_cannot_lead_elsewhere(quiet: World, text: str) -> None:
    """No value of a parameter carries an address, a path or a query into a redirect URL."""
    async with nothing_changes(quiet):
        body = request("smarttrace", parameters={"InstanceName": text})
        problem(await quiet.api("POST", "/onboardings", body), 400, "parameters.InstanceName")


@pytest.mark.parametrize(
    "text",
    [
        "attacker@evil.example",
        "https://evil.example/owner",
        "mailto:attacker@evil.example",
        "app-owner@contoso.com,attacker@evil.example",
        "app-owner@contoso.com;attacker@evil.example",
        "App Owner <attacker@evil.example>",
        "app-owner@contoso.com?cc=attacker@evil.example",
        "nobody' or startswith(displayName,'A') or 'x' eq 'y",
        "app-owner@contoso.com' or '1' eq '1",
        "app-owner@contoso.com&$select=id",
        "me",
        "*",
    ],
)
@pytest.mark.parametrize("field", ["owner", "assignments.users[0]", "assignments.groups[0]"])
async def test_person_is_looked_up_and_never_addressed(quiet: World, field: str, text: str) -> None:
    """Nothing in a request is an address: what the directory does not hold as such is refused."""
    async with nothing_changes(quiet):
        problem(await quiet.api("POST", "/onboardings", {**request("thoropass"), **FIELDS[field](text)}), 400, field)


async def test_quote_in_a_name_is_part_of_the_name(quiet: World) -> None:
    """An apostrophe changes no filter: a person whose address has one is found."""
    person = next(u for u in (await quiet.dump())["users"] if u["userPrincipalName"].startswith("helpdesk"))
    aliases = [*person["proxyAddresses"], "smtp:o'hara@contoso.com"]
    await quiet.control("PUT", f"/objects/users/{person['id']}", {"proxyAddresses": aliases})
    try:
        body = request("thoropass", owner="o'hara@contoso.com", assignments={"users": ["O'Hara@contoso.com"]})
        reply = await quiet.api("POST", "/onboardings?mode=plan", body)
        assert reply.status == 200, reply.text
        shaped("plan", reply.body)
    finally:
        await quiet.control("PUT", f"/objects/users/{person['id']}", {"proxyAddresses": person["proxyAddresses"]})


FREE_TEXT = f"{TEMPLATE} {MARKUP}"


@pytest.fixture(scope="module")
async def hostile(quiet: World) -> tuple[World, dict[str, Any]]:
    """An onboarding whose free texts are hostile, carried out."""
    operation = await quiet.onboard(
        "hellotracks", display_name=FREE_TEXT, requested_by=FREE_TEXT, ticket="IT/1234#a:b", assignments=None
    )
    assert operation["state"] == "waiting", operation
    return quiet, operation


async def test_free_text_is_escaped_in_every_mail(hostile: tuple[World, dict[str, Any]]) -> None:
    """In HTML it is escaped, in text it stands as it came, and in no header at all."""
    world, _ = hostile
    mails = await world.mailbox()
    assert mails
    assert any(TEMPLATE in mail["text"] for mail in mails), "a mail shows who asked"
    for mail in mails:
        assert "<script" not in mail["html"]
        assert "onerror=alert" not in mail["html"].replace(html.escape(MARKUP), "").replace("onerror=alert(1)&gt;", "")
        assert "49" not in mail["subject"]
        headers = " ".join([mail["subject"], *mail["to"], *mail["cc"], *map(str, mail["headers"].values())])
        assert not any(mark in headers for mark in ("<script", "{{", "evil", "\n"))
        for line in mail["text"].splitlines():
            assert not line.startswith(("Bcc:", "<script"))


async def test_free_text_is_escaped_on_the_page(hostile: tuple[World, dict[str, Any]]) -> None:
    """The vendor's page shows nothing of it as markup, and allows no script at all."""
    world, _ = hostile
    (address,) = {
        line.removeprefix("Page: ")
        for mail in await world.mailbox()
        for line in mail["text"].splitlines()
        if line.startswith("Page: ")
    }
    page = await world._call("GET", address)  # noqa: SLF001  # an address outside /api's JSON
    assert page.status == 200
    assert "<script" not in page.text
    assert TEMPLATE not in page.text or html.escape(TEMPLATE) in page.text
    assert "default-src 'none'" in page.headers["Content-Security-Policy"]


async def test_free_text_stays_data_in_the_api(hostile: tuple[World, dict[str, Any]]) -> None:
    """The operation shows it as JSON, under a content type that no browser renders."""
    world, operation = hostile
    reply = await world.api("GET", f"/operations/{operation['operation']}")
    assert reply.body["requested_by"] == FREE_TEXT
    assert reply.headers["Content-Type"].startswith("application/json")
    shaped("operation", reply.body)
    assert (await world.application("hellotracks"))["displayName"] == FREE_TEXT


async def test_role_that_is_hostile_fails_in_words(quiet: World) -> None:
    """A role that the application does not have fails the operation, and the mail about it escapes the role."""
    before = len(await quiet.mailbox())
    operation = await quiet.onboard("clicktime", assignments={"users": ["b.simon@contoso.com"], "role": FREE_TEXT})
    assert operation["state"] == "failed", operation
    assert operation["reasons"][0]["field"] == "assignments.role"

    async def told() -> bool:
        return any("failed" in mail["subject"] for mail in (await quiet.mailbox())[before:])

    await until(told)
    for mail in (await quiet.mailbox())[before:]:
        assert "<script" not in mail["html"]
        assert "{{" not in mail["subject"]
