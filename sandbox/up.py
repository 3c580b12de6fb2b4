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
from collections.abc import AsyncIterator
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from sandbox.azurite.emptying import empty_storage
from sandbox.azurite.process import connection_string, start_azurite
from sandbox.certificate_authority import LoopbackCertificate, issue_loopback_certificate
from sandbox.child import Child, ChildError
from sandbox.event_grid import EventGrid
from sandbox.hosts import CLONE, HostProcess, HostSettings
from sandbox.relying_parties import RelyingParties
from sandbox.seed import PEOPLE
from sandbox.services import (
    SERVICES,
    open_sockets,
    open_storage_sockets,
    start_services,
    start_storage,
    urls_of,
)
from sandbox.tenant import SandboxTenant, Urls
from sandbox.tokens import tokens_of
from sandbox.unkind.switches import CALM, UNKIND, EventSchema, Lag

_READY = "The sandbox is ready"
# Behind the services, the host and Azurite's three.
_STORAGE_PORTS = len(SERVICES) + 1 + 3


@dataclass(frozen=True)
class Options:
    """How a sandbox is started."""

    seed: int = 1
    calm: bool = False
    lag: Lag | None = None
    """Another lag of the replicas than the calm or the unkind tenant's."""
    port_base: int = 0
    rate: float = 1.0
    with_host: bool = True
    app: Path = CLONE
    people: int = PEOPLE


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
    certificate: str
    """The files of the certificate that hosts serve with."""
    key: str

    @property
    def host_settings(self) -> HostSettings:
        """Return what a host process needs, for whoever starts some beside this sandbox."""
        return HostSettings(self.env, self.storage, self.certificate, self.key)


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
    lag: Lag | None = None,
    rate: float = 1.0,
    host: bool = True,
    app: Path | None = None,
    people: int | None = None,
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
        command += ["--lag", lag] if lag else []
        command += [] if host else ["--no-host"]
        command += ["--app", str(app)] if app else []
        command += ["--people", str(people)] if people else []
        environment = os.environ | {"PYTHONPATH": str(CLONE)}
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
        sockets = {**open_sockets(options.port_base), **open_storage_sockets(_port(options, _STORAGE_PORTS))}
        listener = socket.create_server(("127.0.0.1", _port(options, len(SERVICES))))
        stack.callback(listener.close)
        host_url = f"https://127.0.0.1:{listener.getsockname()[1]}"
        urls = urls_of(sockets, host_url)
        switches = CALM if options.calm else UNKIND
        # Without a host nobody is subscribed; whoever starts one of their own may switch it on.
        events: EventSchema = "event_grid" if options.with_host else "none"
        switches = replace(switches, lag=options.lag or switches.lag, vault_events=events)
        tenant = SandboxTenant(options.seed, urls, options.rate, switches, options.people)
        tenant.on_reset.append(lambda: empty_storage(azurite.connection))
        tenant.vendors = RelyingParties(tenant, certificate.client_context())
        for runner in await start_services(tenant, sockets, certificate.server_context()):
            stack.push_async_callback(runner.cleanup)
        runners, storage = await start_storage(tenant, sockets, azurite.addresses)
        for runner in runners:
            stack.push_async_callback(runner.cleanup)
        app_storage = connection_string({**azurite.addresses, **storage})
        environment = _app_environment(tenant, urls, app_storage, certificate, options)
        state = State(
            host=host_url,
            graph=urls.graph,
            authority=urls.authority,
            vault=urls.vault,
            control=urls.control,
            storage=azurite.connection,
            env=environment,
            pid=os.getpid(),
            certificate=str(certificate.certificate),
            key=str(certificate.key),
        )
        children = [azurite.child]
        if options.with_host:
            host = await HostProcess.start(state.host_settings, listener=listener.fileno(), app=options.app)
            stack.push_async_callback(host.stop)
            children.append(host.child)
        else:
            # Whoever starts a host of their own may have this port.
            listener.close()
        delivering = asyncio.create_task(EventGrid(tenant, host_url).run(certificate.client_context()))
        stack.push_async_callback(_ended, delivering)
        yield _Running(state, tuple(children))


async def _ended(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


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
        "GATEHOUSE_ROTATION_SCHEDULE": "0 0 * * * *",
        "GATEHOUSE_SUMMARY_SCHEDULE": "0 0 5 * * *",
        "GATEHOUSE_RECONCILE_SCHEDULE": "0 0 3 * * *",
        "GATEHOUSE_ENTITLEMENTS": str(options.app / "docs" / "entitlements.toml"),
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
