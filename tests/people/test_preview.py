"""The preview: what an event or changed rules would do, for one person or everyone, and nothing of it done."""

from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

import handlers.entitlements
from sso.errors import Refused, TenantError
from tests.api.answers import shaped
from tests.stories.hostless import Hostless

RULES = """
[[rules]]
when = { department = "Sales" }
grant = [{ vendor = "hellotracks" }]

[[rules]]
when = { groups = "Identity Team" }
grant = [{ vendor = "hellotracks" }]

[[rules]]
when = { department = "Astronomy" }
grant = [{ vendor = "hellotracks" }]
"""


@pytest.fixture
async def ours(hostless: Hostless, tmp_path: Path) -> Hostless:
    """A tenant with Hellotracks, held by B.Simon and by the members of Sales, and with rules."""
    (tmp_path / "entitlements.toml").write_text(RULES, encoding="utf-8")
    hostless.settings["GATEHOUSE_ENTITLEMENTS"] = str(tmp_path / "entitlements.toml")
    await hostless.accept("hellotracks")
    await hostless.run_all()
    return hostless


async def _preview(ours: Hostless, **body: Any) -> dict[str, Any]:
    """The answer, of the published shape, once nothing was written for it."""
    before = await ours.world.last_call()
    found = await handlers.entitlements.preview(ours.tenant, body, ours.now)
    assert await ours.world.writes(before) == []
    return dict(shaped("preview", found))


def _event(kind: str, now: datetime, subject: str = "b.simon@contoso.com", **attributes: str) -> dict[str, Any]:
    return {
        "specversion": "1.0",
        "id": "1",
        "source": "/hr",
        "type": f"gatehouse.person.{kind}",
        "subject": subject,
        "time": now.isoformat(),
        "data": {"attributes": attributes},
    }


async def test_preview_tells_the_whole_story(ours: Hostless) -> None:
    """One person, an event, everyone, changed rules, an excluded person: each is told, and nothing is written."""
    one = await _preview(ours, person="app-owner@contoso.com")
    (item,) = one["items"]
    assert item["grants"] == []  # a reconcile gives only where the vendor's profile is authoritative
    (told,) = item["told"]
    assert told.startswith("member of Identity Team: hellotracks by rule 2; the profile of hellotracks is not")

    joined = await _preview(ours, event=_event("joiner", ours.now, "app-owner@contoso.com"))
    (item,) = joined["items"]
    assert item["grants"] == ["member of Identity Team: hellotracks by rule 2."]

    moved = await _preview(ours, event=_event("mover", ours.now, department="Legal"))
    (item,) = moved["items"]
    assert item["entitled"] == []
    assert item["removals"] == ["Loses hellotracks: no rule gives it any more."]

    left = await _preview(ours, event=_event("leaver", ours.now))
    (item,) = left["items"]
    assert item["removals"] == ["Loses hellotracks: has left."]
    assert item["notes"] == [
        "Has hellotracks through group 'Sales': it ends with the membership or the account.",
    ]

    everyone = await _preview(ours)
    assert [(finding["kind"], finding["rule"]) for finding in everyone["findings"]] == [("dead", 3)]
    sales = [user for user in (await ours.world.dump())["users"] if user["department"] == "Sales"]
    able = [user for user in sales if user["accountEnabled"] and user["userType"] == "Member"]
    assert everyone["changing"] == 0
    assert len(everyone["items"]) == len(able) - 1 + 1  # all of Sales but B.Simon, and the one of the Identity Team
    assert everyone["people"] > 300

    text = RULES.replace('"Sales"', '"Legal"').replace('"hellotracks"', '"zoom"')
    changed = await _preview(ours, entitlements=text, person="b.simon@contoso.com")
    (item,) = changed["items"]
    assert item["grants"] == item["removals"] == []
    assert item["notes"] == ["Keeps hellotracks: no rule names hellotracks/default."]
    assert {finding["kind"] for finding in changed["findings"]} == {"unknown"}

    group = next(group for group in (await ours.world.dump())["groups"] if group["displayName"] == "Sales")
    await ours.close()
    ours.settings["GATEHOUSE_EXCLUDED_GROUP"] = group["id"]
    spared = await _preview(ours, event=_event("leaver", ours.now))
    (item,) = spared["items"]
    assert item["removals"] == []
    assert item["notes"] == ["Is in GATEHOUSE_EXCLUDED_GROUP: nothing is changed."]


async def test_preview_refuses_with_every_reason(hostless: Hostless) -> None:
    """Broken rules and a broken event are refused together; an unknown person is refused by name."""
    hostless.settings["GATEHOUSE_ENTITLEMENTS"] = "docs/entitlements.toml"
    broken = {"entitlements": "[[rules]]\nwhen = {}", "event": {"specversion": "1.0"}, "person": ""}
    with pytest.raises(Refused) as refused:
        await handlers.entitlements.preview(hostless.tenant, broken, hostless.now)
    fields = {reason.field for reason in refused.value.reasons}
    assert {"entitlements.rules[0].when", "entitlements.rules[0].grant", "event.id", "event.subject"} <= fields
    for body, field in (({"person": "nobody@contoso.com"}, "person"), ([], ""), ({"people": 1}, "")):
        with pytest.raises(Refused) as refused:
            await handlers.entitlements.preview(hostless.tenant, body, hostless.now)
        assert [reason.field for reason in refused.value.reasons] == [field]


@pytest.mark.parametrize(
    ("settings", "word"),
    [
        ({"GATEHOUSE_ENTITLEMENTS": ""}, "set GATEHOUSE_ENTITLEMENTS"),
        ({"GATEHOUSE_ENTITLEMENTS": "nowhere.toml"}, "correct the path"),
        ({"GATEHOUSE_ENTITLEMENTS": "README.md"}, "must mend it"),
        ({"GATEHOUSE_EXCLUDED_GROUP": "5c0a9cc4-1ba3-4b5e-9f3f-0d1f9c4f5b11"}, "does not know"),
    ],
)
async def test_deployment_that_is_wrong_is_named(hostless: Hostless, settings: dict[str, str], word: str) -> None:
    """Without a file, with a broken one, or without the group of excluded people, an operator is told what to mend."""
    hostless.settings |= settings
    with pytest.raises(TenantError, match=word):
        await handlers.entitlements.preview(hostless.tenant, {}, hostless.now)


@pytest.mark.parametrize("name", ["Project Phoenix", "Nobody's Team"])
async def test_group_that_means_none_or_several_is_named(hostless: Hostless, name: str) -> None:
    """A group of a rule must be exactly one; which it is not is said, with how many there are."""
    rules = RULES.replace("Identity Team", name)
    with pytest.raises(TenantError, match=f"the group '{name}', of which the directory has [02]"):
        await handlers.entitlements.preview(hostless.tenant, {"entitlements": rules}, hostless.now)
