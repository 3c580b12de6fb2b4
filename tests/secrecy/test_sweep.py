"""After every story: where secrets, codes, links and names are, and where they are not."""

import base64
import json
import re

import pytest

from sandbox.graph.passwords import CANARY
from sso.codes import read_code, token_hash_of
from tests.pages.desk import values
from tests.secrecy.conftest import Told
from tests.secrecy.witness import holding

WRITTEN = {
    "in the open": CANARY,
    "as JSON in a text": json.dumps({"a": json.dumps({"b": CANARY})}),
    "as an address": "secret=8Q%7ECanary.abc",
    "in base64": base64.b64encode(f"client_secret=abc{CANARY}xyz".encode()).decode(),
    "in base64 of an address": base64.urlsafe_b64encode(f'{{"secret": "é{CANARY}"}}'.encode()).decode().rstrip("="),
    "in hexadecimal": CANARY.encode().hex().upper(),
}


@pytest.mark.parametrize("how", WRITTEN)
def test_the_sweep_finds_what_is_there(how: str) -> None:
    """However a canary is written somewhere, the sweep names the place, and no other."""
    assert holding({"there": f"before {WRITTEN[how]} after", "elsewhere": "8Q~Canar"}, CANARY) == ["there"]


async def test_a_secret_is_in_the_vault_and_on_the_page_that_was_collected(told: Told) -> None:
    """Two pages were collected: each showed another secret, and nothing else holds one."""
    places = await told.witness.places()
    shown = [
        (f"answer {number} of {call}", values(reply)["APPLICATION (CLIENT) SECRET"])
        for number, (call, reply) in enumerate(told.witness.replies)
        if reply.status == 200 and 'dl class="values"' in reply.text
    ]
    assert [name.rpartition("/")[2] for name, _ in shown] == [handoff.token for handoff in told.collected]
    assert len({secret for _, secret in shown}) == 2
    assert all(CANARY in secret for _, secret in shown)
    assert holding(places, CANARY) == [name for name, _ in shown]
    # What was swept was there to be swept.
    assert {name.split()[0] for name in places} >= {"log", "answer", "mail", "calls", "dump", "row"}
    assert "apply mint_secret" in places["log"]
    assert "addPassword" in places["calls"]
    assert "client-secret" in places["dump"]


async def test_the_log_and_the_ledger_know_no_link_and_no_code(told: Told) -> None:
    """Link and code stand in one mail each, never the same one; elsewhere there are only their hashes."""
    places = {name: text for name, text in (await told.witness.places()).items() if not name.startswith("answer")}
    for handoff in told.handoffs:
        links, codes = holding(places, handoff.token), holding(places, handoff.code)
        assert (len(links), len(codes), set(links) & set(codes)) == (1, 1, set())
        assert all(name.startswith("mail") for name in (*links, *codes))
        assert holding(places, str(read_code(handoff.code))) == []


async def test_the_log_names_nobody(told: Told) -> None:
    """No person, address or query that names one, no token and no key is logged; pages go by eight digits."""
    log = (await told.witness.places(told.begin))["log"]
    for word in (
        "b.simon",
        "B.Simon",
        "app-owner",
        "helpdesk",
        "userPrincipalName",
        "HTTP Request",
        "eyJ",
        "AccountKey",
    ):
        assert word not in log, word
    assert told.witness.state.env["IDENTITY_HEADER"] not in log
    assert set(re.findall(r"Hand-off page (\w+)", log)) >= {
        token_hash_of(handoff.token)[:8] for handoff in told.collected
    }
