"""docs/lifecycle-workflow.json: what the Logic App sends is an event that is taken, and what it resumes is the task."""

import json
import re
from datetime import UTC, datetime
from typing import Any

from sso.hr import KINDS, parse_event
from tests.docs.reading import document

NOW = datetime(2026, 7, 1, 8, tzinfo=UTC)
# What Lifecycle Workflows sends to a custom task extension, by the expressions that read it.
SENT = {
    "triggerBody()?['data']?['taskProcessingResult']?['id']": "6a3f2f6e-1b7f-4a7e-9a57-0d6c1d9a7d10",
    "triggerBody()?['data']?['taskProcessingResult']?['createdDateTime']": "2026-07-01T07:59:30.1234567Z",
    "triggerBody()?['data']?['workflow']?['id']": "0c9e3c5a-33c5-4c1c-9d8c-5f4f2a6c0b11",
    "triggerBody()?['data']?['subject']?['id']": "7d1f1f3e-3d2a-4a52-9a59-6c1c2a9f6a01",
    "triggerBody()?['data']?['callbackUriPath']": "/identityGovernance/lifecycleWorkflows/workflows/w/tasks/t/…/resume",
    "parameters('gatehouse')": "https://gatehouse.contoso.com",
}
DEFINITION = json.loads(document("docs/lifecycle-workflow.json"))["definition"]


def filled(value: Any, kind: str) -> Any:
    """A value with its expressions replaced by what they read; an unknown expression is an error."""
    if isinstance(value, dict):
        return {name: filled(entry, kind) for name, entry in value.items()}
    known = {**SENT, "parameters('kind')": kind}
    return re.sub(r"@\{([^{}]+)\}", lambda found: known[found[1]], value) if isinstance(value, str) else value


def test_what_it_sends_is_taken() -> None:
    """For each kind the body is a CloudEvent of that kind about the workflow's subject, named after the task."""
    assert set(DEFINITION["parameters"]["kind"]["allowedValues"]) == set(KINDS)
    for kind in KINDS:
        sent = filled(DEFINITION["actions"]["Send_the_event"]["inputs"], kind)
        assert sent["uri"] == "https://gatehouse.contoso.com/api/hr-events"
        assert sent["headers"]["Content-Type"] == "application/cloudevents+json"
        assert sent["headers"]["webhook-id"] == sent["body"]["id"]
        assert sent["authentication"]["type"] == "ManagedServiceIdentity"
        event = parse_event(sent["body"], NOW)
        assert (event.fact.kind, event.fact.subject) == (kind, "7d1f1f3e-3d2a-4a52-9a59-6c1c2a9f6a01")


def test_task_that_waits_is_resumed() -> None:
    """Graph is told by the managed identity whether the event's operation ended, at the address that the task gave."""
    actions = DEFINITION["actions"]
    waits = actions["Is_the_task_waiting"]["actions"]
    for resume in (waits["Resume_the_task"], actions["Say_that_it_failed"]):
        inputs = resume["inputs"]
        assert inputs["method"] == "POST"
        assert inputs["uri"] == "https://graph.microsoft.com/v1.0@{triggerBody()?['data']?['callbackUriPath']}"
        assert inputs["authentication"] == {"type": "ManagedServiceIdentity", "audience": "https://graph.microsoft.com"}
        assert inputs["body"]["type"] == "lifecycleEvent"
        assert set(inputs["body"]["data"]) == {"operationStatus"}
    look = waits["Wait_for_the_operation"]["actions"]["Look_at_the_operation"]["inputs"]
    assert "/api/operations/" in look["uri"]
    assert DEFINITION["parameters"]["operationKey"]["type"] == "SecureString"
