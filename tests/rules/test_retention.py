"""What of a person's facts is still needed."""

from datetime import UTC, datetime, timedelta

import pytest

from sso.hr import Fact, FactKind, Timeline
from sso.model import ObjectId
from sso.retention import past

NOW = datetime(2026, 7, 1, tzinfo=UTC)
PERSON = ObjectId("0b1c4a1e-0b0a-4b76-9c57-5e5a52a3f101")


def said(kind: FactKind, days: int, effective: int | None = None) -> Fact:
    """A fact that was recorded, and is in force, so many days after NOW."""
    when = NOW + timedelta(days=days)
    return Fact(
        kind,
        "b.simon@contoso.com",
        when,
        NOW + timedelta(days=days if effective is None else effective),
        {"department": "Sales"},
    )


@pytest.mark.parametrize(
    "facts",
    [
        (),
        (said("joiner", -900),),
        (said("rehire", -800), said("leaver", -900)),
        (said("leaver", 0),),
        (said("leaver", -900, 30), said("mover", -901)),
    ],
    ids=["nothing", "works here", "is back", "left today", "leaves in a month"],
)
def test_what_a_decision_stands_on_is_kept(facts: tuple[Fact, ...]) -> None:
    """Whoever has not left long ago keeps every fact, with its attributes."""
    assert past(Timeline(facts), PERSON, NOW - timedelta(days=1)) == Timeline(facts)


def test_who_left_long_ago_is_known_by_that_alone() -> None:
    """Of somebody who left stays that they left, and when."""
    left = past(Timeline((said("leaver", -10), said("joiner", -900, -901))), PERSON, NOW)
    assert left.facts == (Fact("leaver", PERSON, NOW - timedelta(days=10), NOW - timedelta(days=10), {}),)
    assert past(left, PERSON, NOW) == left
