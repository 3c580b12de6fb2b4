"""Three hundred broken variants of a good request, drawn the same every time."""

import json
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import given as drawn
from hypothesis import strategies as st

from tests.api.answers import nothing_changes, problem
from tests.world import World, request

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
NO_TEXT = JSON.filter(lambda value: value is not None and not isinstance(value, str))
STRANGE = st.text(min_size=1, max_size=30).map(lambda text: f"{text}\u202e{text}")
NOBODY = st.text(min_size=1, max_size=40).map(lambda text: f"nobody {text}")
FIELDS = frozenset(request("smarttrace")) | {"instance", "ticket", "display_name"}

# One way each to break one field for certain.
BREAKS: dict[str, st.SearchStrategy[Any]] = {
    "vendor": NO_TEXT | NOBODY | st.just(""),
    "instance": NO_TEXT | st.text(min_size=1).map(lambda text: f"{text}_") | st.just("a" * 31),
    "parameters": st.one_of(
        NO_TEXT.filter(lambda value: value != {}),
        st.just({}),
        st.text(max_size=20).map(lambda text: {"InstanceName": f"{text}/"}),
        NO_TEXT.map(lambda value: {"InstanceName": value}),
    ),
    "owner": NO_TEXT | NOBODY | STRANGE,
    "assignments": st.one_of(
        NO_TEXT.filter(lambda value: value != {}),
        st.text(min_size=1),
        NOBODY.map(lambda name: {"users": [name]}),
        NOBODY.map(lambda name: {"groups": ["Sales", name]}),
        NO_TEXT.map(lambda value: {"users": [value]}),
        NO_TEXT.map(lambda value: {"role": value}),
        STRANGE.map(lambda value: {"role": value}),
        NO_TEXT.filter(lambda value: not isinstance(value, list)).map(lambda value: {"groups": value}),
    ),
    "ticket": NO_TEXT | st.text().map(lambda text: f"-{text}") | STRANGE,
    "requested_by": NO_TEXT | STRANGE | st.just("x" * 257) | st.just(" "),
    "display_name": NO_TEXT | STRANGE | st.just("x" * 257) | st.just(""),
}
UNKNOWN = st.dictionaries(st.text(max_size=30).filter(lambda name: name not in FIELDS), JSON, min_size=1, max_size=3)


@st.composite
def broken(draw: st.DrawFn) -> bytes:
    """A good request with one to three fields broken, an unknown field, or bytes cut off."""
    body = request("smarttrace", ticket="IT-1234", display_name="Tracking")
    way = draw(st.sampled_from(["fields", "fields", "fields", "unknown", "cut", "other"]))
    if way == "other":
        return json.dumps(draw(JSON.filter(lambda value: not isinstance(value, dict)))).encode()
    if way == "cut":
        raw = json.dumps(body).encode()
        return raw[: draw(st.integers(0, len(raw) - 1))]
    if way == "unknown":
        body |= draw(UNKNOWN)
    for name in draw(st.lists(st.sampled_from(sorted(BREAKS)), unique=True, min_size=way == "fields", max_size=3)):
        body[name] = draw(BREAKS[name])
    return json.dumps(body).encode()


@pytest.fixture
async def unchanged(quiet: World) -> Any:
    """The world, held to be the same after all variants as before the first."""
    async with nothing_changes(quiet):
        yield quiet


@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@drawn(broken())
async def test_broken_request_is_refused_in_words(unchanged: World, body: bytes) -> None:
    """Each variant is answered with a problem document whose reasons are sentences, and none leaves a trace."""
    reply = await unchanged.api("POST", "/onboardings", data=body)
    assert reply.status in {400, 409, 413}, (body, reply.text)
    assert all(detail.strip() for detail in problem(reply, reply.status))
