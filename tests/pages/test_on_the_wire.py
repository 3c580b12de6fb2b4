"""The page as anything that can send a request meets it."""

import asyncio
import base64
import hashlib
import re
from datetime import UTC, datetime, timedelta
from typing import Any

import aiohttp
import pytest

import handlers.handoff
from clients.tenant import Tenant
from sandbox.graph.passwords import CANARY
from sso.codes import code_from, token_from
from sso.page import judge
from tests.pages.desk import WRONG, Desk, Handoff, values
from tests.world import Reply

AGO = (datetime.now(UTC) - timedelta(days=8)).isoformat()


async def test_looking_changes_nothing(desk: Desk, handoff: Handoff) -> None:
    """HEAD and GET, even with the code in the query, write nothing and mail nobody; HEAD has GET's headers, no body."""
    before, mails = await desk.row(handoff), len(await desk.world.mailbox())
    got = await desk.look(handoff)
    headed = await desk.look(handoff, "HEAD")
    query = {"action": "collect", "code": handoff.code}
    for method in ("GET", "HEAD"):
        for _ in range(10):
            reply = await desk.world.api(method, f"/handoffs/{handoff.token}", params=query)
            assert reply.status == 200
            assert CANARY not in reply.text
    assert (got.status, headed.status, headed.text) == (200, 200, "")
    volatile = {"Date", "Content-Length", "Transfer-Encoding"}
    assert {name: value for name, value in got.headers.items() if name not in volatile} == {
        name: value for name, value in headed.headers.items() if name not in volatile
    }
    assert await desk.row(handoff) == before
    assert len(await desk.world.mailbox()) == mails


async def test_every_answer_is_kept_framed_and_indexed_by_nobody(desk: Desk, handoff: Handoff) -> None:
    """Every status has the strict headers, no cookie, and a style whose hash its policy names."""
    replies = [
        await desk.look(handoff),
        await desk.press(handoff, "collect", WRONG),
        await desk.press(handoff, "collect", "empty"),
        await desk.press(handoff, "acknowledge", handoff.code),
        await desk.press(handoff, "nonsense", handoff.code),
        await desk.press(handoff, "collect", handoff.code),
        await desk.press(handoff, "collect", handoff.code),
        await desk.world.api("GET", f"/handoffs/{token_from(bytes(32))}"),
    ]
    assert [reply.status for reply in replies] == [200, 403, 400, 409, 400, 200, 409, 404]
    for reply in replies:
        assert reply.headers["Cache-Control"] == "no-store"
        assert reply.headers["Referrer-Policy"] == "no-referrer"
        assert reply.headers["X-Content-Type-Options"] == "nosniff"
        assert reply.headers["X-Frame-Options"] == "DENY"
        assert reply.headers["Content-Type"] == "text/html; charset=utf-8"
        assert "Set-Cookie" not in reply.headers
        (style,) = re.findall(r"<style>(.*?)</style>", reply.text, re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
        assert reply.headers["Content-Security-Policy"].split("; ") == [
            "default-src 'none'",
            f"style-src 'sha256-{digest}'",
            "form-action 'self'",
            "frame-ancestors 'none'",
            "base-uri 'none'",
        ]
        assert not re.search(r"<(script|link|img|iframe|object|embed|video|base)\b", reply.text)


@pytest.mark.parametrize("token", ["A", "A" * 42, "A" * 44, "A" * 43, "%2e%2e%2fhealth", "A" * 42 + "%00", "A" * 4000])
async def test_a_link_that_is_none_says_so(desk: Desk, token: str) -> None:
    """Whatever is no link of ours is answered 404, pressed or not."""
    for method in ("GET", "POST"):
        reply = await desk.world.api(method, f"/handoffs/{token}")
        assert (reply.status, "There is no such page" in reply.text) == (404, True)


async def test_of_ten_at_once_one_wins(desk: Desk, handoff: Handoff) -> None:
    """Ten clients send the right code in the same moment: one is shown the secret, nine learn that it was collected."""

    async def client() -> Reply:
        connector = aiohttp.TCPConnector(ssl=desk.world.tls)
        async with aiohttp.ClientSession(connector=connector) as session:
            form = {"action": "collect", "code": handoff.code}
            async with session.post(handoff.link, data=form) as response:
                return Reply(response.status, None, await response.text(), response.headers)

    replies = await asyncio.gather(*(client() for _ in range(10)))
    assert sorted(reply.status for reply in replies) == [200] + [409] * 9
    (winner,) = (reply for reply in replies if reply.status == 200)
    application = await desk.world.application("smarttrace")
    shown = values(winner)
    assert CANARY in shown.pop("APPLICATION (CLIENT) SECRET")
    assert shown == {
        "APPLICATION ID": application["appId"],
        "TENANT ID": desk.world.state.env["GATEHOUSE_TENANT_ID"],
    }
    assert not any(CANARY in reply.text for reply in replies if reply is not winner)


async def test_five_wrong_codes_lock_and_tell_the_owner(desk: Desk, handoff: Handoff) -> None:
    """The fifth well-formed wrong code locks the page for the right one too; the owner hears of it, once."""
    statuses = [(await desk.press(handoff, "collect", WRONG)).status for _ in range(5)]
    assert statuses == [403, 403, 403, 403, 423]
    for action in ("collect", "acknowledge", "problem"):
        reply = await desk.press(handoff, action, handoff.code, "text")
        assert (reply.status, CANARY in reply.text) == (423, False)
    assert (await desk.look(handoff)).status == 423
    (mail,) = [mail for mail in await desk.mails("is locked") if handoff.reference in mail["subject"]]
    assert mail["to"] == ["app-owner@contoso.com"]
    assert "Nothing was disclosed" in mail["text"]
    row = await desk.row(handoff)
    assert (row["state"], row["lock_told"] is not None) == ("locked", True)
    await desk.change(handoff, state="replaced")  # the next test's hand-off has the same reference


async def test_wrong_codes_at_once_are_all_counted(desk: Desk, handoff: Handoff) -> None:
    """Ten different wrong codes in the same moment are no ten guesses: four are told wrong, the rest find it locked."""
    before = len(await desk.mails("is locked"))
    wrong = [code_from(bytes([number]) * 16) for number in range(1, 11)]
    replies = await asyncio.gather(*(desk.press(handoff, "collect", code) for code in wrong))
    assert sorted(reply.status for reply in replies) == [403] * 4 + [423] * 6
    assert len(await desk.mails("is locked")) == before + 1


async def test_a_right_code_forgives_the_wrong_ones(desk: Desk, handoff: Handoff) -> None:
    """Four wrong codes and the right one, however it is typed: the values are shown."""
    for _ in range(4):
        await desk.press(handoff, "collect", WRONG)
    typed = f" {handoff.code.replace('-', ' – ').lower()} "
    reply = await desk.press(handoff, "collect", typed)
    assert (reply.status, CANARY in reply.text) == (200, True)
    assert (await desk.row(handoff))["attempts"] == 0


async def test_a_lapsed_link_says_so(desk: Desk, handoff: Handoff) -> None:
    """After its time a page is gone for looking and for the right code, whatever its buttons."""
    await desk.change(handoff, valid_until=AGO)
    for reply in (
        await desk.look(handoff),
        *[await desk.press(handoff, a, handoff.code) for a in ("collect", "problem")],
    ):
        assert (reply.status, "has lapsed" in reply.text, CANARY in reply.text) == (410, True, False)


async def test_a_replaced_link_says_so(desk: Desk, handoff: Handoff) -> None:
    """A new hand-off brings a new link and code; the old ones open nothing, and mixed they open nothing either."""
    newer = await desk.open_again()
    assert (newer.token, newer.code) != (handoff.token, handoff.code)
    for reply in (await desk.look(handoff), await desk.press(handoff, "collect", newer.code)):
        assert (reply.status, "was replaced" in reply.text, CANARY in reply.text) == (410, True, False)
    assert (await desk.press(newer, "collect", handoff.code)).status == 403
    assert "Collect the values" in (await desk.look(newer)).text


async def test_the_way_of_a_page(desk: Desk) -> None:
    """Confirming before collecting is refused; collecting works once; confirming ends the operation and may repeat."""
    handoff = await desk.open("hellotracks")
    early = await desk.press(handoff, "acknowledge", handoff.code)
    assert (early.status, "Collect the values first" in early.text) == (409, True)
    assert (await desk.world.operation(handoff.operation))["state"] == "waiting"
    assert (await desk.press(handoff, "collect", handoff.code)).status == 200
    again = await desk.press(handoff, "collect", handoff.code)
    assert (again.status, values(again), CANARY in again.text) == (409, {}, False)
    looked = await desk.look(handoff)
    assert ("were collected" in looked.text, CANARY in looked.text) == (True, False)
    for _ in range(2):
        assert (await desk.press(handoff, "acknowledge", handoff.code)).status == 200
    assert (await desk.world.operation(handoff.operation))["state"] == "done"
    late = await desk.press(handoff, "collect", handoff.code)
    assert (late.status, CANARY in late.text) == (409, False)


HOSTILE = "<img src=x onerror=alert(1)>{{7*7}}\r\nBcc: thief@evil.example\n\"'&</p>"


async def test_a_report_reaches_the_owner_as_text(desk: Desk, handoff: Handoff) -> None:
    """What somebody writes reaches the owner line by line and escaped, writes no header, and leaves the page open."""
    before = len(await desk.mails("a problem was reported"))
    for code in ("", WRONG):
        reply = await desk.press(handoff, "problem", code, HOSTILE)
        assert reply.status in {400, 403}
        assert "<img" not in reply.text
    assert len(await desk.mails("a problem was reported")) == before
    assert (await desk.press(handoff, "problem", handoff.code, HOSTILE)).status == 200
    mail = (await desk.mails("a problem was reported"))[-1]
    assert (mail["to"], mail["cc"], mail["reply_to"]) == (["app-owner@contoso.com"], [], [])
    assert not {"bcc", "Bcc"} & set(mail["headers"])
    assert "thief" not in mail["subject"]
    assert "> <img src=x onerror=alert(1)>{{7*7}}" in mail["text"]
    assert "> Bcc: thief@evil.example" in mail["text"]
    assert "&lt;img src=x onerror=alert(1)&gt;{{7*7}}" in mail["html"]
    assert "<img" not in mail["html"]
    assert (await desk.press(handoff, "collect", handoff.code)).status == 200


FORMS: dict[str, dict[str, Any]] = {
    "nothing": {},
    "no button": {"data": {"code": "22222-22222"}},
    "an unknown button": {"data": {"action": "shred", "code": "22222-22222"}},
    "JSON": {"body": {"action": "collect", "code": "22222-22222"}},
    "no UTF-8": {"data": b"action=\xff\xfe&code=%ff%00"},
    "a megabyte": {"data": {"action": "collect", "code": "A" * 1_000_000}},
    "a megabyte of text": {"data": {"action": "problem", "code": "", "text": "A" * 1_000_000}},
    "an upload": {"data": b'--x\r\nContent-Disposition: form-data; name="action"\r\n\r\ncollect\r\n--x--'},
}


@pytest.mark.parametrize("form", FORMS)
async def test_no_form_changes_anything(desk: Desk, form: str) -> None:
    """A body that no browser of this page sends is refused, and the page is as it was."""
    handoff = await desk.open_again()
    before = await desk.row(handoff)
    reply = await desk.world.api("POST", f"/handoffs/{handoff.token}", **FORMS[form])
    assert reply.status == 400
    assert await desk.row(handoff) == before


async def test_a_lock_is_told_though_its_teller_died(desk: Desk, handoff: Handoff, tenant: Tenant) -> None:
    """The sweep tells the owner of a page that was locked and told by nobody: once, and after two minutes."""
    before = len(await desk.mails("is locked"))
    now = datetime.now(UTC)
    for _ in range(4):
        await desk.press(handoff, "collect", WRONG)
    # As a request leaves it that wrote the lock and died before its mail.
    row = await desk.row(handoff)
    page = await tenant.ledger.find_page(name := row["token_hash"])
    assert page is not None
    verdict = judge(page, "collect", WRONG, now)
    assert verdict.outcome == "locks"
    assert verdict.page is not None
    await tenant.ledger.replace_page(verdict.page)
    assert await handlers.handoff.finish_presses(tenant, now + timedelta(seconds=90)) == 0
    assert await handlers.handoff.finish_presses(tenant, now + timedelta(seconds=150)) == 1
    assert await handlers.handoff.finish_presses(tenant, now + timedelta(days=1)) == 0
    told = await desk.mails("is locked")
    assert len(told) == before + 1
    assert told[-1]["to"] == ["app-owner@contoso.com"]
    found = await tenant.ledger.find_page(name)
    assert found is not None
    assert not found.lock_untold


async def test_public_values_are_confirmed_at_once(desk: Desk) -> None:
    """Where only public values were told there is nothing to collect, and the code alone confirms."""
    handoff = await desk.open("thoropass")
    looked = await desk.look(handoff)
    assert ('value="collect"' in looked.text, 'value="acknowledge"' in looked.text) == (False, True)
    assert (await desk.press(handoff, "collect", handoff.code)).status == 409
    assert (await desk.press(handoff, "acknowledge", WRONG)).status == 403
    assert (await desk.world.operation(handoff.operation))["state"] == "waiting"
    assert (await desk.press(handoff, "acknowledge", handoff.code)).status == 200
    assert (await desk.world.operation(handoff.operation))["state"] == "done"
