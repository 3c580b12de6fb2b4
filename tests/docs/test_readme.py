"""README.md: its tables are the code's, its commands exist, and what it shows is what happens."""

import asyncio
import inspect
import json
import os
import re
import shutil
import sys
import tomllib
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

import function_app
from clients.settings import Settings
from tests.docs.reading import CLONE, block, code, document, rows, section
from tests.world import World
from vendors.catalog import Catalog
from vendors.profile import GallerySource

README = document("README.md")
DEMO_LIMIT = 120.0  # seconds, on a machine that is busy with other tests


def test_the_settings_are_those_that_are_read() -> None:
    """Each setting has its row, and the ones without a default are called needed."""
    table = {code(name)[0]: needed for name, needed, _ in rows(section(README, "Settings"))}
    fields = {str(field.alias): field.is_required() for field in Settings.model_fields.values()}
    assert set(table) == set(fields)
    assert {name for name, needed in table.items() if needed == "yes"} == {
        name for name, must in fields.items() if must
    }


def test_the_vendors_are_those_of_the_catalogue() -> None:
    """Each profile has its row, which says what the profile says."""
    catalog = Catalog()
    profiles = {slug: catalog.load(slug) for slug in catalog.slugs()}
    expected = [
        [
            f"`{slug}`",
            profile.name,
            profile.protocol,
            "gallery" if isinstance(profile.source, GallerySource) else "registration",
            profile.instances,
            profile.handoff.contact or profile.handoff.to,
            ", ".join(profile.handoff.fields[name] for name in profile.handoff.deliver),
        ]
        for slug, profile in sorted(profiles.items())
    ]
    assert rows(section(README, "The five vendors").partition("###")[0]) == expected


def test_the_routes_are_those_of_the_function_index() -> None:
    """Each HTTP function has its row: methods, route, name, level, and the app role that its story asks for."""
    shown = {}
    for call, name, level, role in rows(section(README, "Callers and keys")):
        methods, _, route = code(call)[0].rpartition(" ")
        shown[code(name)[0]] = (methods, route, level, (code(role) or [role])[0])
    assert shown == {name: served for name, served in map(_served, function_app.app.get_functions()) if served}


def _served(function: Any) -> tuple[str, tuple[str, str, str, str] | None]:  # a function of the programming model
    name = str(function.get_function_name())
    trigger = next(binding.get_dict_repr() for binding in function.get_bindings())
    if trigger["type"] != "httpTrigger":
        return name, None
    role = re.search(r'"(Gatehouse\.\w+)"', inspect.getsource(function.get_user_function()))
    methods = ", ".join(method.value for method in trigger["methods"])
    return name, (methods, f"/{trigger['route']}", trigger["authLevel"].value, role[1] if role else "none")


def test_the_layout_is_the_tree() -> None:
    """Each folder with code or documents is in the layout, and nothing else."""
    shown = [line.split()[0].rstrip("/") for line in block(section(README, "Layout"), "text").splitlines()]
    folders = {path.parent.name for path in CLONE.glob("*/*") if path.suffix in {".py", ".md", ".html"}}
    hidden = {name for name in folders if name.startswith((".", "_"))} | {"build"}
    assert set(shown) == {"function_app.py"} | folders - hidden


def test_the_layers_are_those_of_the_import_contract() -> None:
    """The sentence about imports is the contract."""
    contracts = tomllib.loads(document("pyproject.toml"))["tool"]["importlinter"]["contracts"]
    layers = next(contract["layers"] for contract in contracts if contract["type"] == "layers")
    assert " > ".join(["function_app", *layers]) in README


def test_each_command_is_a_target() -> None:
    """Whoever types `make …` as the README says finds that target."""
    targets = set(re.findall(r"^([a-z]+):", document("Makefile"), re.MULTILINE))
    named = {
        name for text in (README, document("CHANGELOG.md")) for name in re.findall(r"`(?:\$ )?make ([a-z]+)", text)
    }
    assert {"demo", "test", "check", "bench", "up", "schema"} <= named <= targets


@pytest.mark.parametrize("link", sorted(set(re.findall(r"\]\(([^)]+)\)", README))))
def test_each_link_leads_somewhere(link: str) -> None:
    """A link to a file or a heading of this repository has its target; others are https."""
    if link.startswith("https://"):
        return
    file, _, heading = link.partition("#")
    assert (CLONE / (file or "README.md")).is_file()
    if heading:
        headings = re.findall(r"^#+ (.+)$", document(file or "README.md"), re.MULTILINE)
        assert heading in {re.sub(r"[^a-z0-9 -]", "", title.lower()).replace(" ", "-") for title in headings}


@pytest.mark.skipif(shutil.which("curl") is None, reason="this machine has no curl")
async def test_the_request_from_curl_to_sign_in(world: World, tmp_path: Path) -> None:
    """The commands, typed as they stand beside a running sandbox, print what the README says."""
    (tmp_path / "state.json").write_text(json.dumps(asdict(world.state)))
    walk = section(README, "From one request to a sign-in")
    shell = await asyncio.create_subprocess_exec(
        *("bash", "-euo", "pipefail", "-c", block(walk, "sh")),
        cwd=tmp_path,
        stdout=asyncio.subprocess.PIPE,
        env=os.environ | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"},
    )
    said, _ = await asyncio.wait_for(shell.communicate(), DEMO_LIMIT)
    assert shell.returncode == 0
    assert _shape(said.decode()) == _shape(block(walk, "text"))


async def test_the_demo_shows_what_the_readme_shows() -> None:
    """`python -m sandbox demo` succeeds and prints the README's block, but for numbers and what is left out there."""
    demo = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "sandbox", "demo"), cwd=CLONE, stdout=asyncio.subprocess.PIPE
    )
    said, _ = await asyncio.wait_for(demo.communicate(), DEMO_LIMIT)
    assert demo.returncode == 0, said.decode()
    real = _shape(said.decode())
    for part in block(section(README, "Try it"), "text").removeprefix("$ make demo\n").split("[…]\n"):
        assert _shape(part) in real


def _shape(text: str) -> str:
    """The text without numbers, IDs, and spaces at the ends of lines."""
    lines = [
        re.sub(r"[0-9a-f]{8}(-[0-9a-f]{4,12})+|\d+(-[0-9a-f]{8})?", "#", line.rstrip()) for line in text.splitlines()
    ]
    return "\n".join(lines).strip()
