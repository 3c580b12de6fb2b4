"""The local Functions host as a process, which a test may start, kill and start again, several on the same queues."""

import asyncio
import json
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self
from urllib.parse import urlsplit

from sandbox.child import Child
from sandbox.host import STORAGE

CLONE = Path(__file__).resolve().parent.parent
# Another deployment's settings must not leak into the sandbox's app.
_NOT_INHERITED = ("GATEHOUSE_", "AZURE_", "AzureWebJobs", "IDENTITY_", "MSI_")


@dataclass(frozen=True)
class HostSettings:
    """What a host process needs to know; the state file holds all of it."""

    env: Mapping[str, str]
    """The app's environment."""
    storage: str
    """The storage that the host itself polls, without a detour."""
    certificate: str
    key: str


class HostProcess:
    """One running host."""

    def __init__(self, child: Child, url: str) -> None:
        self.child = child
        self.url = url

    @classmethod
    async def start(
        cls,
        settings: HostSettings,
        *,
        url: str | None = None,
        listener: int | None = None,
        app: Path = CLONE,
        log: Path | None = None,
        extra: Mapping[str, str] | None = None,
    ) -> Self:
        """Start a host and return when it answers: at `url`, else on an inherited socket, else on a free port.

        `extra` is added to the app's environment. Only one host can have the state's own `url`, the one in mails; it
        may be started there again as soon as the last one is dead. Raises ChildError.
        """
        where = (
            ["--listener", str(listener)] if listener is not None else ["--port", str(urlsplit(url or "").port or 0)]
        )
        command = [
            *(sys.executable, "-m", "sandbox.host", "--app", str(app), *where),
            *("--certfile", settings.certificate, "--keyfile", settings.key, "--end-with-stdin"),
        ]
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(_NOT_INHERITED)}
        environment = {
            **inherited,
            **settings.env,
            **(extra or {}),
            STORAGE: settings.storage,
            "PYTHONPATH": str(CLONE),
        }
        pass_fds = [] if listener is None else [listener]
        child = await Child.start(
            "The Functions host", command, environment, lambda said: _address(said) is not None,
            pass_fds=pass_fds, log=log,
        )  # fmt: skip
        return cls(child, _address(child.said) or "")

    async def kill(self) -> None:
        """End it as a power cut would, and return when it is dead."""
        self.child.kill()
        await self.child.ended()
        await self.child.stop()

    async def stop(self) -> None:
        """Let it finish what it is doing, then end it; a dead one stays dead."""
        await self.child.stop()


async def stop_all(hosts: Sequence[HostProcess]) -> None:
    """Stop several hosts at once."""
    await asyncio.gather(*(host.stop() for host in hosts))


def _address(said: Sequence[str]) -> str | None:
    for line in said:
        if line.startswith("{"):
            return str(json.loads(line)["url"])
    return None
