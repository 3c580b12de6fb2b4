"""host.json and its documentation."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from sandbox.host.host_json import HostJsonError, read_host_json

CLONE = Path(__file__).resolve().parents[2]


def _leaves(value: Any, path: str = "") -> dict[str, str]:
    if not isinstance(value, dict):
        return {path: str(value).lower() if isinstance(value, bool) else str(value)}
    return {
        key: leaf for name, each in value.items() for key, leaf in _leaves(each, f"{path}.{name}".strip(".")).items()
    }


def test_documents_every_value() -> None:
    """The table in docs/host-json.md has each key of host.json, with its value and a reason."""
    rows = re.findall(r"^\| `([^`]+)` \| `([^`]+)` \| \S", (CLONE / "docs/host-json.md").read_text(), re.MULTILINE)
    assert dict(rows) == _leaves(json.loads((CLONE / "host.json").read_text()))


@pytest.mark.parametrize(
    ("queues", "named"),
    [
        ({"batchSize": 64}, "batchSize"),
        ({"maxDequeueCount": 0}, "maxDequeueCount"),
        ({"visibilityTimeout": "30s"}, "visibilityTimeout"),
        ({"messageEncoding": "hex"}, "messageEncoding"),
    ],
)
def test_names_the_value_that_does_not_fit(tmp_path: Path, queues: dict[str, Any], named: str) -> None:
    """A value that the real host would refuse is refused by name."""
    file = tmp_path / "host.json"
    file.write_text(json.dumps({"version": "2.0", "extensions": {"queues": queues}}))
    with pytest.raises(HostJsonError, match=named):
        read_host_json(file)
