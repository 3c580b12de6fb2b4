"""The layout of the design, and the habits that a glance at one file does not show."""

import ast
import re
import sys

import pytest

from tests.project.sources import APP, CLONE, WHOLE, calls_of, imported, python_files, tree

REQUIRED = (
    "function_app.py",
    "handlers",
    "clients",
    "sso",
    "vendors",
    "templates",
    "sandbox",
    "tests",
    "docs",
    "benchmarks",
    "host.json",
    "requirements.txt",
    "pyproject.toml",
    "Makefile",
    "README.md",
    "CHANGELOG.md",
    ".funcignore",
)
DEPLOYED = {*APP, "templates", "host.json", "requirements.txt", "constraints.txt"}
# A file whose name says nothing collects what belongs nowhere.
EMPTY_NAMES = {"utils", "util", "helpers", "helper", "common", "misc", "base", "manager", "managers", "tools", "shared"}
CLOCKS = ("datetime.now", "datetime.utcnow", "datetime.today", "date.today", "time.time", "time.time_ns")
NO_MOCKS = {"unittest.mock", "mock", "pretend", "pytest_mock", "responses", "aioresponses", "freezegun", "time_machine"}


@pytest.mark.parametrize("name", REQUIRED)
def test_layout_is_the_one_of_the_design(name: str) -> None:
    """What the design names at the top is there."""
    assert (CLONE / name).exists()


def test_no_file_is_named_after_nothing() -> None:
    """No module is called utils, helpers, common, misc, base or manager."""
    assert [path for path in python_files(*WHOLE) if path.stem in EMPTY_NAMES] == []


def test_no_module_at_the_top_hides_one_of_pythons() -> None:
    """The app's root is on the import path, so a folder named like a standard module would break the host."""
    tops = {path.parts[0].removesuffix(".py") for path in python_files(*WHOLE)}
    assert tops & set(sys.stdlib_module_names) == set()


def test_only_the_entry_file_knows_azure_functions() -> None:
    """`azure.functions` is imported by function_app.py and by no other file of the app."""
    found = {p.as_posix() for p in python_files(*APP) if any(n.startswith("azure.functions") for n in imported(p))}
    assert found == {"function_app.py"}


def test_environment_is_read_in_one_file() -> None:
    """Settings are read once, in clients/settings.py; nothing else of the app looks at the environment."""
    readers = set()
    for path in python_files(*APP):
        for node in ast.walk(tree(path)):
            if isinstance(node, ast.Attribute) and node.attr in {"environ", "getenv", "environb", "putenv"}:
                readers.add(path.as_posix())
    assert readers == {"clients/settings.py"}


def test_clock_is_read_in_one_function() -> None:
    """`now` comes from function_app.py alone and is handed down, so a test can give another."""
    readers = {call for name in CLOCKS for call in calls_of(name, *APP)}
    # An HTTP date in Retry-After is told by a server's wall clock and means nothing beside any other.
    dates = {"clients/graph/wire.py:_retry_after", "clients/sts.py:_pause", "clients/vault.py:_refusal"}
    assert readers == {"function_app.py:now", *dates}


def test_secret_is_opened_at_four_places() -> None:
    """The vault's write, the proof, who may read the vendor's page, and the envelope: a fifth place is a discussion."""
    assert calls_of("reveal", *APP, "sandbox", "benchmarks") == [
        "clients/envelope.py:seal",
        "clients/sts.py:_prove",
        "clients/vault.py:_write",
        "sso/handoff.py:shown",
    ]


def test_type_checker_is_overruled_at_two_lines() -> None:
    """The app silences mypy at one line and the sandbox at another, with the code of what is silenced."""
    marks = [
        (path.as_posix(), line.partition("#")[2].strip())
        for path in python_files(*APP, "sandbox")
        for line in (CLONE / path).read_text(encoding="utf-8").splitlines()
        if "type: ignore" in line
    ]
    assert marks == [
        ("sandbox/host/index.py", "type: ignore[no-untyped-call]"),
        ("sso/model.py", "type: ignore[assignment]"),
    ]


def test_nobody_decides_on_the_sandbox() -> None:
    """The app does not know that there is a sandbox: the word stands in comments at most."""
    for path in python_files(*APP):
        for node in ast.walk(tree(path)):
            assert not (isinstance(node, ast.Name) and "sandbox" in node.id.lower()), path
            assert not (isinstance(node, ast.Attribute) and "sandbox" in node.attr.lower()), path


def test_every_test_says_one_sentence() -> None:
    """Each test function has a docstring whose first line is a whole sentence."""
    silent = []
    for path in python_files("tests"):
        for node in ast.walk(tree(path)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_"):
                sentence = (ast.get_docstring(node) or "").partition("\n")[0]
                if not re.fullmatch(r"\S[^\n]*[.!?)]", sentence):
                    silent.append(f"{path}:{node.name}")
    assert silent == []


def test_nothing_is_mocked_and_nobody_sleeps() -> None:
    """Tests meet the sandbox over the wire: no mocking library, no blocking sleep."""
    for path in python_files("tests"):
        assert not NO_MOCKS & set(imported(path)), path
    assert calls_of("time.sleep", *APP, "tests") == []


def test_what_is_deployed_is_what_the_design_says() -> None:
    """Everything at the top that is not part of the app is named in .funcignore, and nothing of the app is."""
    ignored = {
        line.strip()
        for line in (CLONE / ".funcignore").read_text(encoding="utf-8").splitlines()
        if line.strip() and not line.startswith("#")
    }
    assert not ignored & DEPLOYED
    tops = {path.name for path in CLONE.iterdir() if not path.name.startswith(".") and not path.name.endswith(".md")}
    generated = {"__pycache__", "build", "node_modules", "state.json", "local.settings.json"}
    assert tops - generated - DEPLOYED <= ignored


def test_every_requirement_is_pinned_and_explained() -> None:
    """Each line names one version and, in the same line, what it is for."""
    for name in ("requirements.txt", "requirements-dev.txt"):
        for line in (CLONE / name).read_text(encoding="utf-8").splitlines():
            if line and not line.startswith(("#", "-")):
                assert re.fullmatch(r"[A-Za-z0-9_.\-]+(\[[a-z]+\])?==[0-9][0-9.]*\s+# \S.*", line), line
