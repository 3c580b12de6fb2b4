"""What a process imports, seen from a process of its own: starts are paid for on every cold start."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping

from tests.project.sources import CLONE
from tests.world import BODIES, World, request

INDEXING = """
import json, sys
import function_app
function_app.app.get_functions()
print(json.dumps(sorted(sys.modules)))
"""
ANSWERS = """
import asyncio, json, sys
from datetime import UTC, datetime
from clients.settings import read_settings
from clients.tenant import Tenant
from handlers import applications, health, intake
from sso.model import key_of
from sso.steps import ApplicationSettings

async def main():
    tenant, now = Tenant.connect(read_settings()), datetime.now(UTC)
    for body in json.load(sys.stdin):
        assert (await intake.preview(tenant, body, now)).steps
    await applications.page(tenant, None)
    assert all(check.ok for check in await health.checks(tenant, now))
    made = await tenant.graph.upsert_application(key_of("hellotracks", "lean"), ApplicationSettings("Lean"))
    assert made.display_name == "Lean"
    await tenant.close()

asyncio.run(main())
print(json.dumps(sorted(sys.modules)))
"""
HEAVY = ("msgraph", "kiota_abstractions", "azure.identity", "azure.keyvault", "azure.data", "azure.storage", "jinja2",
         "cryptography", "lxml", "requests", "pydantic", "clients", "sandbox")  # fmt: skip


def modules_after(script: str, environment: Mapping[str, str], given: str = "") -> list[str]:
    """The names of every module that a fresh process has imported after a script."""
    whole = {"PATH": os.environ["PATH"], **environment, "PYTHONPATH": str(CLONE)}
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=CLONE, env=whole, input=given, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    names: list[str] = json.loads(done.stdout.splitlines()[-1])
    return names


def test_indexing_imports_no_client() -> None:
    """The host indexes the functions without Graph, vault, storage or templates being imported."""
    loaded = modules_after(INDEXING, {})
    assert "function_app" in loaded
    assert [name for name in loaded if name.startswith(tuple(f"{heavy}." for heavy in HEAVY)) or name in HEAVY] == []


async def test_graph_answers_without_its_typed_models(world: World) -> None:
    """Reads of every kind and a write against the tenant import no typed response model of the Graph SDK."""
    bodies = json.dumps([request(vendor) for vendor in BODIES])
    loaded = modules_after(ANSWERS, world.state.env, bodies)
    assert "msgraph.generated.applications.applications_request_builder" in loaded, "the SDK's builders are in use"
    assert [name for name in loaded if name.startswith("msgraph.generated.models")] == []
