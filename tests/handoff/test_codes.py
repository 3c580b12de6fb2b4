"""Codes survive a telephone: what is misheard is no attempt."""

import hashlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sso.codes import (
    CODE_ALPHABET,
    LONGEST_CODE_TEXT,
    TOKEN,
    code_from,
    hash_code,
    read_code,
    token_from,
    token_hash_of,
)

RANDOM = st.binary(min_size=16, max_size=32)
PLACE = st.integers(0, 9)


def characters(code: str) -> str:
    """The ten characters without the hyphen."""
    return code.replace("-", "")


@given(RANDOM)
def test_a_code_reads_back(random: bytes) -> None:
    """Every code that is made is shown as ABCDE-FGHJK and reads back as its ten characters."""
    code = code_from(random)
    assert len(code) == 11
    assert code[5] == "-"
    assert read_code(code) == characters(code)


@given(RANDOM, st.sampled_from(["", " ", "-", "\u2011", "\u00a0", "\u2013", "\u200b"]), st.booleans())
def test_reading_forgives_case_spaces_and_hyphens(random: bytes, between: str, lower: bool) -> None:
    """However it is spaced, hyphenated or written small, it is the same code."""
    code = characters(code_from(random))
    typed = f"  {between.join(code)}\r\n"
    assert read_code(typed.lower() if lower else typed) == code


@given(RANDOM, PLACE, st.sampled_from(CODE_ALPHABET))
def test_one_wrong_character_is_no_code(random: bytes, place: int, other: str) -> None:
    """A single wrong character, the check character included, never makes another code."""
    code = characters(code_from(random))
    wrong = code[:place] + other + code[place + 1 :]
    assert read_code(wrong) == (code if wrong == code else None)


@given(RANDOM, st.integers(0, 8))
def test_swapped_neighbours_are_no_code(random: bytes, place: int) -> None:
    """Two neighbours swapped never make another code."""
    code = characters(code_from(random))
    swapped = code[:place] + code[place + 1] + code[place] + code[place + 2 :]
    assert read_code(swapped) == (code if swapped == code else None)


@given(st.text(max_size=100))
def test_any_text_is_a_code_or_nothing(text: str) -> None:
    """Reading answers ten characters of the alphabet or None, whatever was typed."""
    code = read_code(text)
    assert code is None or (len(code) == 10 and set(code) <= set(CODE_ALPHABET))


@pytest.mark.parametrize(
    "text", ["", " ", "-", "ABCDE", "2222222222222", "22222-2222O", "2" * 10 + " " * LONGEST_CODE_TEXT]
)
def test_what_is_empty_or_ill_formed_is_no_code(text: str) -> None:
    """Empty, short, long and foreign text is no code and so no attempt."""
    assert read_code(text) is None


def test_no_two_characters_of_the_alphabet_look_alike() -> None:
    """Of each group of look-alikes at most one character is in use, and there are 23, a prime."""
    assert len(set(CODE_ALPHABET)) == len(CODE_ALPHABET) == 23
    for group in ("0ODQ", "1IL", "2Z", "5S", "6G", "8B", "UV"):
        assert sum(character in CODE_ALPHABET for character in group) <= 1


@settings(max_examples=25, deadline=None)  # the hash of a code is slow on purpose
@given(RANDOM, st.text(min_size=1, max_size=20))
def test_the_hash_depends_on_the_salt(random: bytes, salt: str) -> None:
    """The same code under another salt has another hash, and the hash holds no code."""
    code = characters(code_from(random))
    assert hash_code(code, salt) == hash_code(code, salt)
    assert hash_code(code, salt) != hash_code(code, f"{salt}x")


def test_too_little_chance_is_refused() -> None:
    """Codes and tokens are not made of fewer random bytes than they need."""
    with pytest.raises(ValueError, match="16 random bytes"):
        code_from(b"short")
    with pytest.raises(ValueError, match="32 random bytes"):
        token_from(b"short")


@given(st.binary(min_size=32, max_size=32))
def test_a_token_is_43_characters_and_only_its_hash_is_kept(random: bytes) -> None:
    """A link's token is 43 base64url characters; the ledger's name for it is its SHA-256."""
    token = token_from(random)
    assert TOKEN.fullmatch(token)
    assert token_hash_of(token) == hashlib.sha256(token.encode()).hexdigest()
