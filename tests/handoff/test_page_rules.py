"""What every press of a button on the vendor's page comes to."""

from dataclasses import replace
from datetime import timedelta
from typing import get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sso.codes import code_from, read_code, token_from, token_hash_of
from sso.page import (
    WRONG_CODES,
    Action,
    Outcome,
    Page,
    PageState,
    acknowledged,
    closed,
    credential_to_collect,
    judge,
    secret_is_spent,
    state_at,
    with_code,
    with_link,
)
from tests.handoff.given import CODE, NOW, handoff, page

ACTIONS = st.sampled_from(get_args(Action))
STATES = st.sampled_from(get_args(PageState))
WRONG = code_from(b"\x07" * 16)
PUBLIC = handoff("thoropass")


def collected() -> Page:
    """A page whose values were shown."""
    after = judge(page(), "collect", CODE, NOW).page
    assert after is not None
    return after


def offering(action: Action) -> Page:
    """An open page that takes this action."""
    opened = page(PUBLIC) if action == "acknowledge" else page()
    return replace(opened, activates=action == "activate")


# The table that the page obeys: (page, button, code) -> outcome.
CASES: dict[str, tuple[Page, Action, str, Outcome]] = {
    "the right code collects an open page": (page(), "collect", CODE, "collected"),
    "a wrong code collects nothing": (page(), "collect", WRONG, "wrong_code"),
    "a secret is collected before it is confirmed": (page(), "acknowledge", CODE, "collect_first"),
    "what was collected is not shown again": (collected(), "collect", CODE, "collected_already"),
    "what was collected can be confirmed": (collected(), "acknowledge", CODE, "acknowledged"),
    "a wrong code confirms nothing": (collected(), "acknowledge", WRONG, "wrong_code"),
    "public values can be confirmed at once": (page(PUBLIC), "acknowledge", CODE, "acknowledged"),
    "public values are not collected": (page(PUBLIC), "collect", CODE, "nothing_to_collect"),
    "a problem is reported with the code": (page(), "problem", CODE, "reported"),
    "a problem is not reported without it": (page(), "problem", "", "ill_formed_code"),
    "a page without a code takes no attempt": (replace(page(), code_hash=None), "collect", CODE, "code_not_sent"),
    "a confirmed page is done": (acknowledged(collected(), NOW), "acknowledge", CODE, "acknowledged_already"),
    "a confirmed page shows nothing": (acknowledged(collected(), NOW), "collect", CODE, "acknowledged_already"),
    "a new certificate is activated": (offering("activate"), "activate", CODE, "activates"),
    "and once": (replace(offering("activate"), activated=NOW), "activate", CODE, "activated_already"),
    "not where nothing is announced": (page(PUBLIC), "activate", CODE, "nothing_to_activate"),
    "it is confirmed only once it signs": (
        replace(page(PUBLIC), activates=True),
        "acknowledge",
        CODE,
        "activate_first",
    ),
    "then it is": (replace(page(PUBLIC), activates=True, activated=NOW), "acknowledge", CODE, "acknowledged"),
    "what is added only now has a page of its own": (
        replace(page(PUBLIC), activates=True, activated=NOW, credential=None),
        "acknowledge",
        CODE,
        "told_by_another_mail",
    ),
    "a locked page opens to no code": (replace(page(), state="locked"), "collect", CODE, "locked"),
    "a replaced page opens to no code": (closed(page(), NOW), "collect", CODE, "replaced"),
    "a lapsed page opens to no code": (replace(page(), valid_until=NOW), "collect", CODE, "lapsed"),
    "a collected page lapses too": (replace(collected(), valid_until=NOW), "acknowledge", CODE, "lapsed"),
}


@pytest.mark.parametrize("case", CASES)
def test_a_press_of_a_button(case: str) -> None:
    """Each row of the table holds."""
    before, action, code, outcome = CASES[case]
    assert judge(before, action, code, NOW).outcome == outcome


@settings(deadline=None)
@given(ACTIONS, STATES, st.text(max_size=80), st.booleans())
def test_what_is_no_code_changes_nothing(action: Action, state: PageState, code: str, secret: bool) -> None:
    """Whatever is typed that is no code, in any state and at any button: nothing is counted or consumed."""
    if read_code(code) is None:
        assert judge(replace(page(), state=state, secret=secret), action, code, NOW).page is None


@settings(max_examples=25, deadline=None)  # the hash of a code is slow on purpose
@given(ACTIONS, st.binary(min_size=16, max_size=16))
def test_no_other_code_gets_anything(action: Action, random: bytes) -> None:
    """Any well-formed code but the right one is counted and gets nothing."""
    code = code_from(random)
    if code != CODE:
        verdict = judge(offering(action), action, code, NOW)
        assert verdict.outcome == "wrong_code"
        assert verdict.page is not None
        assert verdict.page.attempts == 1
        assert verdict.page.state == "open"


@pytest.mark.parametrize("action", ["collect", "problem"])
def test_five_wrong_codes_lock(action: Action) -> None:
    """The fifth wrong code locks the page, and then the right one opens it no more."""
    tried = page()
    outcomes = []
    for _ in range(WRONG_CODES):
        verdict = judge(tried, action, WRONG, NOW)
        assert verdict.page is not None
        tried = verdict.page
        outcomes.append(verdict.outcome)
    assert outcomes == ["wrong_code"] * 4 + ["locks"]
    assert judge(tried, action, CODE, NOW).outcome == "locked"


def test_the_fifth_try_may_be_the_right_one() -> None:
    """After four wrong codes the right one still opens, and forgives them."""
    verdict = judge(replace(page(), attempts=WRONG_CODES - 1), "collect", CODE, NOW)
    assert verdict.outcome == "collected"
    assert verdict.page is not None
    assert verdict.page.attempts == 0


@settings(deadline=None)
@given(ACTIONS, st.sampled_from([CODE, WRONG]))
def test_every_attempt_is_written_on_the_row_that_was_read(action: Action, code: str) -> None:
    """Every attempt carries the ETag it was judged by, so of several at once one is written."""
    verdict = judge(offering(action), action, code, NOW)
    assert verdict.page is not None
    assert verdict.page.etag == page().etag


@settings(deadline=None)
@given(STATES, st.integers(-10, 10))
def test_only_unfinished_pages_lapse(state: PageState, days: int) -> None:
    """Time ends open and collected pages, at their end and not before, and no other."""
    at = page().valid_until + timedelta(days=days)
    lapses = state in ("open", "collected") and days >= 0
    assert state_at(replace(page(), state=state), at) == ("lapsed" if lapses else state)


def test_a_page_is_valid_as_long_as_the_profile_says() -> None:
    """A page ends `valid_days` after it was opened."""
    assert page().valid_until - page().created == timedelta(days=handoff().valid_days)


def test_a_new_link_keeps_the_code_and_its_wrong_tries() -> None:
    """A new link brings no new guesses, and its mail is still to be sent."""
    token = token_from(b"\x01" * 32)
    renewed = with_link(replace(page(), attempts=3, link_mailed=NOW), token, NOW)
    assert renewed.token_hash == token_hash_of(token) != page().token_hash
    assert (renewed.attempts, renewed.link_mailed, renewed.etag) == (3, None, None)
    assert judge(renewed, "collect", CODE, NOW).outcome == "collected"


def test_a_new_code_replaces_the_old_one() -> None:
    """After a new code the old one is wrong."""
    renewed = with_code(page(), WRONG, "other", NOW)
    assert judge(renewed, "collect", CODE, NOW).outcome == "wrong_code"
    assert judge(renewed, "collect", WRONG, NOW).outcome == "collected"
    with pytest.raises(ValueError, match="code_from"):
        with_code(page(), "no code", "salt", NOW)


def test_a_secret_that_was_shown_and_not_confirmed_is_spent() -> None:
    """Collected, even if locked or lapsed since, means that the next hand-off needs another secret."""
    assert not secret_is_spent(page())
    assert secret_is_spent(collected())
    assert secret_is_spent(replace(collected(), state="locked"))
    assert not secret_is_spent(acknowledged(collected(), NOW))


def test_a_page_keeps_neither_link_nor_code() -> None:
    """The row holds the hash of each and nothing by which to open the page."""
    row = repr(page())
    assert CODE not in row
    assert (read_code(CODE) or CODE) not in row
    assert token_from(bytes(32)) not in row


def test_only_a_page_with_a_secret_names_one_to_collect() -> None:
    """A page of public values reads nothing from the vault."""
    assert credential_to_collect(page()) == page().credential
    assert credential_to_collect(page(PUBLIC)) is None
