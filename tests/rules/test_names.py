"""Names: what is written anywhere is read back unchanged, and nothing else is taken for ours."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sso.errors import Refused
from sso.model import (
    Key,
    foreign_tags,
    instance_name,
    key_from_row,
    key_from_secret_name,
    key_from_tags,
    key_of,
    owner_from_tags,
    owner_tag,
    parameter_tag,
    parameters_from_tags,
)
from sso.model import ObjectId as ObjectIdentifier
from vendors.slug import parse_slug

SLUGS = st.from_regex(r"[a-z0-9]+(_[a-z0-9]+)*", fullmatch=True).filter(lambda text: len(text) <= 40)
INSTANCES = st.from_regex(r"[a-z0-9]+(-[a-z0-9]+)*", fullmatch=True).filter(lambda text: len(text) <= 30)
KEYS = st.builds(lambda slug, instance: Key(parse_slug(slug), instance), SLUGS, INSTANCES)
LINES = st.text(st.characters(exclude_categories=["C"]), max_size=60)


@given(KEYS)
def test_key_goes_through_tag_row_and_vault_names_and_back(key: Key) -> None:
    """Every form in which a key is written reads back as the same key."""
    assert key_from_tags((key.tag,)) == key
    assert key_from_row(key.row) == key
    assert key_from_secret_name(key.secret_name) == key
    assert key_from_secret_name(key.staged_secret_name) == key
    assert key_of(*str(key).split("/")) == key


@given(KEYS, KEYS)
def test_two_keys_share_no_name(one: Key, other: Key) -> None:
    """Different keys have different markers, rows, tags and vault names, staged or not."""
    if one == other:
        return
    assert one.marker != other.marker
    assert one.row != other.row
    assert one.tag != other.tag
    names = {one.secret_name, one.staged_secret_name, other.secret_name, other.staged_secret_name}
    assert len(names) == 4


@given(KEYS)
def test_vault_names_are_what_a_vault_takes(key: Key) -> None:
    """Letters, digits and hyphens, 127 at most."""
    # learn.microsoft.com/azure/key-vault/general/about-keys-secrets-certificates, section "Objects, identifiers"
    for name in (key.secret_name, key.staged_secret_name):
        assert set(name) <= set("abcdefghijklmnopqrstuvwxyz0123456789-")
        assert len(name) <= 127
    assert len(key.tag) <= 256


@given(KEYS, LINES, st.dictionaries(st.from_regex(r"[A-Za-z][A-Za-z0-9]*", fullmatch=True), LINES, max_size=4))
def test_owner_and_parameters_come_back_from_tags(key: Key, owner: str, parameters: dict[str, str]) -> None:
    """Owner, parameters and key are read from one set of tags, whatever the values hold, and others' tags are kept."""
    others = ("WindowsAzureActiveDirectoryIntegratedApp", "cost centre 7", "gatehouse-of-somebody-else")
    written = [key.tag, "gatehouse", owner_tag(ObjectIdentifier(owner))]
    written += [parameter_tag(name, value) for name, value in parameters.items()]
    tags = (*others, *written)
    assert key_from_tags(tags) == key
    assert owner_from_tags(tags) == owner
    assert parameters_from_tags(tags) == parameters
    assert foreign_tags(tags) == others


@given(KEYS, KEYS)
def test_tags_of_two_keys_name_none(one: Key, other: Key) -> None:
    """An application that carries two keys belongs to neither: nothing is decided by the order of tags."""
    expected = one if one == other else None
    assert key_from_tags((one.tag, other.tag)) == expected


@given(st.text(max_size=80))
def test_any_text_is_a_name_of_ours_or_nothing(text: str) -> None:
    """No text makes a reader fail, and what it reads as a key is written as that same text again."""
    key = key_from_secret_name(text)
    assert key is None or text in {key.secret_name, key.staged_secret_name}
    tagged = key_from_tags((text,))
    assert tagged is None or tagged.tag == text
    with contextlib.suppress(ValueError):
        assert instance_name(text) == text


@pytest.mark.parametrize(
    ("vendor", "instance"),
    [
        ("Smarttrace", "default"),
        ("smart__trace", "default"),
        ("smarttrace", "Default"),
        ("smarttrace", "a--b"),
        ("smarttrace", "-a"),
        ("smarttrace", "a" * 31),
        ("a" * 41, "default"),
        ("", ""),
        ("smarttrace", "default\n"),
        ("../smarttrace", "default"),
    ],
)
def test_malformed_address_names_no_application(vendor: str, instance: str) -> None:
    """An address whose parts cannot be a vendor and an instance is answered with 404."""
    with pytest.raises(Refused) as refused:
        key_of(vendor, instance)
    assert refused.value.status == 404
