"""Host processes at once: one process has imported everything, and forks a host of its own for each that is wanted.

What a host does is what `python -m sandbox.host` does, in a process that SIGKILL ends like any other; only the two
seconds in which Python reads modules are spent once and not thousands of times.

`python -m tests.kills.nursery` reads one JSON list of arguments a line, and answers each host's process id and address.
"""

import asyncio
import contextlib
import importlib
import json
import os
import signal
import sys
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlsplit

from sandbox.host import STORAGE
from sandbox.host.__main__ import main as serve_host
from sandbox.hosts import CLONE, HostSettings

_PRELOADED = (
    "sandbox.host.server",
    "clients.tenant",
    "clients.render",
    "function_app",
    *(f"handlers.{module.stem}" for module in (CLONE / "handlers").glob("[!_]*.py")),
    # What a first answer imports late.
    "anyio._backends._asyncio",
    "azure.data.tables.aio",
    "azure.identity.aio",
    "azure.keyvault.secrets.aio",
    "azure.storage.queue.aio",
    "email.generator",
    "httpcore",
    "jinja2.loaders",
    "msgraph.generated.applications.applications_request_builder",
    "msgraph.generated.applications_with_unique_name.applications_with_unique_name_request_builder",
    "msgraph.generated.directory.directory_request_builder",
    "msgraph.generated.groups.groups_request_builder",
    "msgraph.generated.oauth2_permission_grants.oauth2_permission_grants_request_builder",
    "msgraph.generated.policies.policies_request_builder",
    "msgraph.generated.service_principals.service_principals_request_builder",
    "msgraph.generated.service_principals_with_app_id.service_principals_with_app_id_request_builder",
    "msgraph.generated.users.users_request_builder",
)


class Host:
    """One host that was forked."""

    def __init__(self, pid: int, url: str) -> None:
        self.pid = pid
        self.url = url

    async def kill(self) -> None:
        """End it as a power cut would, and return when it is dead."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGKILL)
            async with asyncio.timeout(10):
                while True:
                    await asyncio.sleep(0.002)
                    os.kill(self.pid, 0)


class Nursery:
    """The process that forks, as its user sees it; every host ends with it."""

    def __init__(self, process: asyncio.subprocess.Process, settings: HostSettings) -> None:
        self._process = process
        self._settings = settings

    @classmethod
    async def open(cls, settings: HostSettings, log: Path, **extra: str) -> Self:
        """Start the process; what hosts log is added to `log`."""
        others = ("GATEHOUSE_", "AZURE_", "AzureWebJobs", "IDENTITY_", "MSI_")
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(others)}
        environment = {**inherited, **settings.env, **extra, "PYTHONPATH": str(CLONE)}
        pipe = asyncio.subprocess.PIPE
        with log.open("ab") as opened:
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "tests.kills.nursery", stdin=pipe, stdout=pipe, stderr=opened, env=environment,
                start_new_session=True,
            )  # fmt: skip
        nursery = cls(process, settings)
        assert (await nursery._line()) == {"ready": True}
        return nursery

    async def start(self, url: str | None = None) -> Host:
        """A host that answers, at this address or at a free port."""
        port = urlsplit(url or "").port or 0
        arguments = ["--app", str(CLONE), "--port", str(port), "--certfile", self._settings.certificate]
        arguments += ["--keyfile", self._settings.key, "--end-with-stdin"]
        assert self._process.stdin
        self._process.stdin.write(json.dumps([arguments, self._settings.storage]).encode() + b"\n")
        await self._process.stdin.drain()
        said: dict[str, Any] = {}
        async with asyncio.timeout(30):
            while not {"pid", "url"} <= set(said):
                said |= await self._line()
        return Host(int(said["pid"]), str(said["url"]))

    async def close(self) -> None:
        """End every host and the process itself."""
        assert self._process.stdin
        self._process.stdin.close()
        await self._process.wait()

    async def _line(self) -> dict[str, Any]:
        assert self._process.stdout
        while line := await self._process.stdout.readline():
            if line.startswith(b"{"):
                return dict(json.loads(line))
        raise AssertionError("The nursery has ended; its log says why.")


def main() -> None:
    """Fork a host for each line until standard input ends."""
    for module in _PRELOADED:
        importlib.import_module(module)
    _read_once()
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # the kernel buries the dead
    # Every host takes the end of this pipe as the order to stop, and it ends with this process, however that went.
    reading, writing = os.pipe()
    _say({"ready": True})
    hosts: list[int] = []
    while line := sys.stdin.readline():
        pid = os.fork()
        if pid == 0:
            os.close(writing)
            os.dup2(reading, 0)
            sys.exit(_serve(*json.loads(line)))
        hosts.append(pid)
        _say({"pid": pid})
    for pid in hosts:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def _read_once() -> None:
    """Read what each host would read and keep: the profiles with the public suffixes, and the templates."""
    from clients.render import environment  # noqa: PLC0415
    from vendors.catalog import Catalog  # noqa: PLC0415

    catalog = Catalog()
    for name in catalog.slugs():
        catalog.load(name)
    for template in environment().list_templates(extensions=["html", "txt"]):
        environment().get_template(template)


def _say(what: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(what) + "\n")
    sys.stdout.flush()


def _serve(arguments: list[str], storage: str) -> int:
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    os.environ[STORAGE] = storage
    sys.argv = ["sandbox.host", *arguments]
    return serve_host()


if __name__ == "__main__":
    main()
