"""Three hosts share one queue of assignments: nothing is lost or doubled, and onboarding goes first."""

from datetime import datetime
from typing import Any

from sso.budget import AHEAD, BURST, PACE
from tests.kills.ground import Ground
from tests.numbers import say
from tests.world import request
from tests.writers.conftest import RATE

PEOPLE = 300
PATH = "/applications/hellotracks/default/assignments"
WINDOW = 5.0  # sandbox seconds, short beside what the whole takes


async def test_three_hosts_give_everybody_access_once(two_hosts: Ground) -> None:
    """Hundreds of assignments run through three hosts at the budget's pace, an onboarding passes them, then they leave.

    The full size, with the budget enforced and the plain way beside it, is `make bench`.
    """
    ground = two_hosts
    await ground.another_host()
    await ground.api("POST", "/onboardings", request("hellotracks", assignments=None))
    await ground.come_to_rest(sweep=False)
    users = (await ground.dump())["users"]
    people = [user["id"] for user in users if user["accountEnabled"]][:PEOPLE]
    assert len(people) == PEOPLE
    since = await ground.last_call()
    operations = [await _change(ground, {"add": people[:150]}), await _change(ground, {"add": people[150:]})]
    onboarding = await ground.api("POST", "/onboardings", request("clicktime", assignments=None))
    assert onboarding.status == 202
    await ground.come_to_rest(sweep=False, within=120)
    ended = {operation["id"]: operation for operation in await ground.operations()}
    assert [ended[operation]["state"] for operation in operations] == ["done", "done"]
    assert ended[onboarding.body["operation"]]["waiting_for"]["what"] == "acknowledgement"
    assert sorted(await _assigned(ground)) == sorted(people)
    calls = await ground.calls(since)
    assert [call for call in calls if call["status"] == 429] == []
    given = [call for call in calls if call["operation"].endswith("CreateAppRoleAssignedTo")]
    assert len(given) == PEOPLE  # each once on the wire
    most = _most([datetime.fromisoformat(call["began"]).timestamp() for call in given])
    assert most <= PACE * (WINDOW + BURST + AHEAD) + 20
    say(f"three hosts, {PEOPLE} assignments: each made once; at most {most} in {WINDOW:.0f} s of the sandbox")
    gone = await _change(ground, {"remove": people})
    await ground.come_to_rest(sweep=False, within=120)
    assert next(o for o in await ground.operations() if o["id"] == gone)["state"] == "done"
    assert await _assigned(ground) == []


async def _change(ground: Ground, body: dict[str, Any]) -> str:
    reply = await ground.call("POST", f"{ground.hosts[-1].url}/api{PATH}", body)
    assert reply.status == 202, reply.text
    return str(reply.body["operation"])


async def _assigned(ground: Ground) -> list[str]:
    resource = (await ground.service_principal("hellotracks"))["id"]
    return [entry["principalId"] for entry in (await ground.dump())["assignments"] if entry["resourceId"] == resource]


def _most(moments: list[float]) -> int:
    """The most of any few seconds; the clock of the record has whole milliseconds of the wall."""
    moments = sorted(moments)
    grain = 0.01 * RATE
    return max(sum(at <= other < at + WINDOW - grain for other in moments) for at in moments)
