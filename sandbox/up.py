"""The sandbox as a whole: the tenant's services in this process, Azurite and the local host as its children."""

import asyncio
import contextlib
import json
import os
import secrets
import signal
import socket
import sys
import tempfile
from collections.abc import AsyncIterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

from sandbox.azurite.emptying import empty_storage
from sandbox.azurite.process import start_azurite
from sandbox.certificate_authority import LoopbackCertificate, issue_loopback_certificate
from sandbox.child import Child, ChildError
from sandbox.relying_parties import RelyingParties
from sandbox.services import SERVICES, open_sockets, start_services, urls_of
from sandbox.tenant import SandboxTenant, Urls
from sandbox.tokens import tokens_of

_CLONE = Path(__file__).resolve().parent.parent
# Another deployment's settings must not leak into the sandbox's app.
_NOT_INHERITED = ("GATEHOUSE_", "AZURE_", "AzureWebJobs", "IDENTITY_", "MSI_")


_READY = "The sandbox is ready"


@dataclass(frozen=True)
class Options:
    """How a sandbox is started."""

    seed: int = 1
    calm: bool = False
    port_base: int = 0
    rate: float = 1.0
    with_host: bool = True
    app: Path = _CLONE


@dataclass(frozen=True)
class State:
    """Where everything answers (URLs without a path), and the environment of the app."""

    host: str
    graph: str
    authority: str
    vault: str
    control: str
    storage: str
    env: dict[str, str] = field(repr=False)
    pid: int


@dataclass(frozen=True)
class _Running:
    state: State
    children: tuple[Child, ...]

    async def first_to_end(self) -> ChildError:
        """Wait until some child ends by itself, which none should."""
        waits = [asyncio.create_task(child.ended()) for child in self.children]
        done, others = await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        for wait in others:
            wait.cancel()
        return done.pop().result()


async def up(options: Options, state_file: Path) -> int:
    """Start everything, write the state file, and serve until SIGTERM, SIGINT or the end of a piped standard input.

    Answers the exit code: 1 where something did not start or ended by itself, with a sentence on standard error.
    """
    stopped = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    try:
        async with _sandbox(options) as running:
            _write_atomically(state_file, running.state)
            print(f"{_READY}: {state_file}. Stop it with Ctrl+C.", flush=True)
            dead, ended = asyncio.create_task(running.first_to_end()), asyncio.create_task(stopped.wait())
            await asyncio.wait([dead, ended], return_when=asyncio.FIRST_COMPLETED)
            ended.cancel()
            if dead.done() and not stopped.is_set():
                raise dead.result()
            dead.cancel()
    except ChildError as error:
        print(error, file=sys.stderr)
        return 1
    finally:
        await asyncio.to_thread(state_file.unlink, missing_ok=True)
    return 0


@contextlib.asynccontextmanager
async def running_sandbox(
    *,
    seed: int = 1,
    calm: bool = True,
    rate: float = 1.0,
    host: bool = True,
    app: Path | None = None,
    log: Path | None = None,
) -> AsyncIterator[State]:
    """A whole sandbox in a process of its own, for as long as the context is open.

    Everything that its processes and the app print and log goes to `log`, else to this process' standard error.
    """
    with tempfile.TemporaryDirectory(prefix="gatehouse-") as folder:
        state_file = Path(folder) / "state.json"
        command = [sys.executable, "-m", "sandbox", "up", "--state-file", str(state_file), "--end-with-stdin"]
        command += ["--seed", str(seed), "--rate", str(rate)]
        command += ["--calm"] if calm else []
        command += [] if host else ["--no-host"]
        command += ["--app", str(app)] if app else []
        environment = os.environ | {"PYTHONPATH": str(_CLONE)}
        child = await Child.start(
            "The sandbox", command, environment, lambda said: bool(said) and said[-1].startswith(_READY), log=log
        )
        try:
            yield State(**json.loads(state_file.read_text(encoding="utf-8")))
        finally:
            await child.stop()


@contextlib.asynccontextmanager
async def _sandbox(options: Options) -> AsyncIterator[_Running]:
    async with contextlib.AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="gatehouse-sandbox-")))
        certificate = issue_loopback_certificate(folder)
        azurite = await start_azurite(_port(options, len(SERVICES) + 1))
        stack.push_async_callback(azurite.child.stop)
        sockets = open_sockets(options.port_base)
        listener = socket.create_server(("127.0.0.1", _port(options, len(SERVICES))))
        stack.callback(listener.close)
        host_url = f"https://127.0.0.1:{listener.getsockname()[1]}"
        urls = urls_of(sockets, host_url)
        tenant = SandboxTenant(options.seed, urls, options.rate)
        tenant.on_reset.append(lambda: empty_storage(azurite.connection))
        tenant.vendors = RelyingParties(tenant, certificate.client_context())
        for runner in await start_services(tenant, sockets, certificate.server_context()):
            stack.push_async_callback(runner.cleanup)
        environment = _app_environment(tenant, urls, azurite.connection, certificate, options)
        children = [azurite.child]
        if options.with_host:
            host = await _start_host(options.app, listener, certificate, environment)
            stack.push_async_callback(host.stop)
            children.append(host)
        state = State(
            host=host_url,
            graph=urls.graph,
            authority=urls.authority,
            vault=urls.vault,
            control=urls.control,
            storage=azurite.connection,
            env=environment,
            pid=os.getpid(),
        )
        yield _Running(state, tuple(children))


async def _start_host(
    app: Path, listener: socket.socket, certificate: LoopbackCertificate, environment: Mapping[str, str]
) -> Child:
    command = [
        *(sys.executable, "-m", "sandbox.host", "--app", str(app), "--listener", str(listener.fileno())),
        *("--certfile", str(certificate.certificate), "--keyfile", str(certificate.key), "--end-with-stdin"),
    ]
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(_NOT_INHERITED)}
    whole = {**inherited, **environment, "PYTHONPATH": str(_CLONE)}
    return await Child.start(
        "The Functions host", command, whole, lambda said: any(line.startswith("{") for line in said),
        pass_fds=[listener.fileno()],
    )  # fmt: skip


def _app_environment(
    tenant: SandboxTenant, urls: Urls, storage: str, certificate: LoopbackCertificate, options: Options
) -> dict[str, str]:
    return {
        "GATEHOUSE_TENANT_ID": tenant.directory.tenant_id,
        "GATEHOUSE_KEY_VAULT_URL": urls.vault,
        "GATEHOUSE_MAIL_SENDER": "gatehouse@contoso.com",
        "GATEHOUSE_PUBLIC_URL": urls.host or "",
        "GATEHOUSE_OPERATORS": "identity-team@contoso.com",
        "GATEHOUSE_ORGANISATION": "Contoso",
        "GATEHOUSE_CLOUD": "global",
        "GATEHOUSE_SWEEP_SCHEDULE": "0 */5 * * * *",
        "GATEHOUSE_WAIT_SCALE": repr(1 / options.rate),
        "GATEHOUSE_GRAPH_URL": urls.graph,
        "GATEHOUSE_AUTHORITY_URL": urls.authority,
        "AzureWebJobsStorage": storage,
        "AZURE_TOKEN_CREDENTIALS": "ManagedIdentityCredential",
        "IDENTITY_ENDPOINT": f"{urls.identity}/msi/token",
        "IDENTITY_HEADER": tokens_of(tenant).identity_header,
        "SSL_CERT_FILE": str(certificate.authority),
        "REQUESTS_CA_BUNDLE": str(certificate.authority),
        # A company's proxy must not be asked for what runs on this machine.
        "NO_PROXY": "127.0.0.1,localhost",
    }


def _port(options: Options, offset: int) -> int:
    return options.port_base + offset if options.port_base else 0


def _write_atomically(state_file: Path, state: State) -> None:
    """Write the file under its name only when it is complete; for its owner only, since it opens the sandbox."""
    content: dict[str, Any] = asdict(state)
    unfinished = state_file.with_name(f"{state_file.name}.{secrets.token_hex(4)}")
    descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        json.dump(content, file, indent=2)
    unfinished.rename(state_file)
