"""The demo believes only what it sees."""

import io

from rich.console import Console

from sandbox.demo import show
from sandbox.demo_display import Display
from tests.world import World


async def test_what_did_not_happen_is_said(world: World) -> None:
    """Where ClickTime cannot be onboarded a sentence says why, its line stays empty, and the others have their turn."""
    await world.onboard("clicktime", instance="elsewhere")
    said = io.StringIO()
    problems = await show(world.state, Display(Console(file=said, highlight=False)))
    assert len(problems) == 1
    assert problems[0].startswith("clicktime: ")
    assert "clicktime/elsewhere" in problems[0]
    lines = {line.split()[0]: line for line in said.getvalue().splitlines() if line.strip()}
    assert "b.simon" not in lines["ClickTime"]
    assert all("b.simon" in lines[name] for name in ("SmartTrace", "Hellotracks", "Thoropass", "iLOGON_MHA"))
