"""Serial Graph round trips and wall time of each kind of onboarding, 100 ms per call, beside the plain order.

    python -m benchmarks.round_trips

A `$batch` is one round trip, and calls that overlap are one. What is counted begins with the request and ends with the
hand-off's two mails; assignments travel by a queue of their own beside it. The tenant is calm, and the five reads in a
row that see the certificate in every replica are left out of both figures: they wait for replication. One onboarding
and a look at each plan go before: they open the connections, read the gallery's entry, and are not counted.

The plain order is the contract's sequence sent call by call, as a careful script does it: the certificate is looked for
in the metadata, the secret put into the vault and tried once, and one mail is sent. It keeps no record, so it could not
be continued, and repeated it would make everything again. Each is measured three times; the quickest counts.
"""

import argparse
import asyncio
import os
import sys
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import aiohttp
from rich.console import Console
from rich.table import Table

import handlers.intake
import handlers.onboarding
from benchmarks.tenant import connection, fetch_token
from clients.settings import read_settings
from clients.tenant import Tenant
from sandbox.azurite.installation import cache_folder
from sandbox.up import State, running_sandbox
from sso.caller import Caller

LATENCY = 0.1  # seconds that every call to Graph takes
GRAPH_CLIENT_ID = "00000003-0000-0000-c000-000000000000"
GRAPH_SCOPES = ("37f7f235-527c-4136-accd-4a02d197296e", "14dad69e-099b-42c9-810b-d002981feec1")
PROOF = "servicePrincipals.servicePrincipal_GetServicePrincipal"
TIMES = 3
MOST_WALL = 1.2  # of the plain order's wall time


@dataclass(frozen=True)
class Kind:
    """One kind of onboarding."""

    name: str
    vendor: str
    gallery: str | None
    most_trips: int | None
    parameters: dict[str, str]

    @property
    def saml(self) -> bool:
        """Whether it signs in by SAML."""
        return self.name.startswith("SAML")


KINDS = (
    Kind("SAML, gallery", "clicktime", "ClickTime", 8, {}),
    Kind("OpenID Connect, gallery", "smarttrace", "SmartTrace", None, {"InstanceName": "contoso"}),
    Kind("OpenID Connect, registration", "hellotracks", None, 6, {}),
)
WARM = Kind("warm", "ilogon_mha", None, None, {})  # opens the connections, and is not counted


@dataclass(frozen=True)
class Measured:
    """What one onboarding took."""

    trips: int
    seconds: float
    operations: tuple[str, ...]


class Bench:
    """A calm tenant in which every call to Graph takes its time."""

    def __init__(self, state: State, session: aiohttp.ClientSession) -> None:
        self.state = state
        self._session = session
        self._token = self._vault_token = ""

    async def control(self, method: str, path: str, body: Any = None) -> Any:
        """Call the sandbox's control plane."""
        async with self._session.request(method, f"{self.state.control}{path}", json=body) as answer:
            answer.raise_for_status()
            return await answer.json(content_type=None)

    async def slow_down(self) -> None:
        """Let every call take its time from now on; the requests within a batch travel together."""
        slow = {"operation": "*", "service": "graph", "fault": "delay", "seconds": LATENCY, "times": None}
        await self.control("PUT", "/faults", [{**slow, "path": path} for path in ("/v1.0/", "/beta/")])

    async def measure(self, onboard: Callable[[], Awaitable[object]]) -> Measured:
        """Count and time one onboarding."""
        before = len(await self.control("GET", "/calls"))
        began = time.perf_counter()
        await onboard()
        seconds = time.perf_counter() - began
        calls = await self.control("GET", f"/calls?since={before}")
        graph = sorted((c["began"], c["operation"]) for c in calls if c["service"] == "graph" and not c.get("batch"))
        seconds -= LATENCY * sum(operation == PROOF for _, operation in graph)
        trips: list[tuple[datetime, str]] = []
        for moment, operation in graph:
            at = datetime.fromisoformat(moment)
            # What began before the last one can have been answered went beside it.
            if operation == PROOF:
                continue  # five reads in a row until every replica names the certificate: waiting for replication
            if not trips or at - trips[-1][0] >= timedelta(seconds=LATENCY * 0.95):
                trips.append((at, operation))
        return Measured(len(trips), seconds, tuple(operation for _, operation in trips))

    # The plain order

    async def plain(self, kind: Kind, name: str) -> None:
        """Onboard by the contract's sequence (graph-contract 21), one call after the other."""
        self._token = await fetch_token(self._session, self.state)
        looks = [
            "/users?$filter=mail eq 'app-owner@contoso.com'",
            "/users?$filter=mail eq 'b.simon@contoso.com'",
            "/groups?$filter=displayName eq 'Sales'",
            f"/applications?$filter=displayName eq '{name}'",
            *([f"/applicationTemplates?$filter=displayName eq '{kind.gallery}'"] if kind.gallery else []),
        ]
        found = await self._batch([{"method": "GET", "url": look} for look in looks])
        people = [body["value"][0]["id"] for body in (found["1"], found["2"])]
        application, principal = await self._make(kind, name, found)
        if kind.saml:
            made = await self._send(
                "POST",
                f"/servicePrincipals/{principal['id']}/addTokenSigningCertificate",
                {"displayName": f"CN={name}", "endDateTime": "2028-01-01T00:00:00Z"},
            )
            thumbprint = {"preferredTokenSigningKeyThumbprint": made["thumbprint"]}
            await self._send("PATCH", f"/servicePrincipals/{principal['id']}", thumbprint)
            await self._find_in_metadata(application["appId"], made["key"])
        else:
            grant = {
                "clientId": principal["id"],
                "consentType": "AllPrincipals",
                "resourceId": self._graph_id,
                "scope": "openid profile",
            }
            await self._send("POST", "/oauth2PermissionGrants", grant)
            secret = {"passwordCredential": {"displayName": name}}
            minted = await self._send("POST", f"/applications/{application['id']}/addPassword", secret)
            await self._keep_and_try(name, application["appId"], minted["secretText"])
        role = next(iter(principal["appRoles"]), {"id": "00000000-0000-0000-0000-000000000000"})["id"]
        assigned = f"/servicePrincipals/{principal['id']}/appRoleAssignedTo"
        await self._batch(
            [
                {
                    "method": "POST",
                    "url": assigned,
                    "headers": {"Content-Type": "application/json"},
                    "body": {"principalId": person, "resourceId": principal["id"], "appRoleId": role},
                }
                for person in people
            ]
        )
        mail = {
            "subject": name,
            "body": {"contentType": "text", "content": application["appId"]},
            "toRecipients": [{"emailAddress": {"address": "app-owner@contoso.com"}}],
        }
        await self._send("POST", "/users/gatehouse@contoso.com/sendMail", {"message": mail})

    async def _find_in_metadata(self, client_id: str, certificate: str) -> None:
        """See that the published metadata lists the certificate."""
        tenant_id = self.state.env["GATEHOUSE_TENANT_ID"]
        address = f"{self.state.authority}/{tenant_id}/federationmetadata/2007-06/federationmetadata.xml"
        async with self._session.get(address, params={"appid": client_id}) as answer:
            if certificate not in await answer.text():
                raise RuntimeError("The metadata does not list the certificate.")

    async def _keep_and_try(self, name: str, client_id: str, secret: str) -> None:
        """Put a secret into the vault, and obtain a token with it."""
        vault = f"{self.state.vault}/secrets/{name}?api-version=7.6"
        headers = {"Authorization": f"Bearer {self._vault_token}"}
        async with self._session.put(vault, json={"value": secret}, headers=headers) as answer:
            answer.raise_for_status()
        form = {"grant_type": "client_credentials", "client_id": client_id, "client_secret": secret}
        address = f"{self.state.authority}/{self.state.env['GATEHOUSE_TENANT_ID']}/oauth2/v2.0/token"
        async with self._session.post(address, data={**form, "scope": f"{self.state.graph}/.default"}) as answer:
            answer.raise_for_status()

    async def prepare(self) -> None:
        """Read what the plain order takes for known: its tokens, and Microsoft Graph's own object ID."""
        self._token = await fetch_token(self._session, self.state)
        # The vault is addressed by another resource than its host (see `sandbox.urls`); the challenge names it.
        async with self._session.get(f"{self.state.vault}/secrets?api-version=7.6") as answer:
            resource = answer.headers["WWW-Authenticate"].rsplit('resource="', 1)[1].partition('"')[0]
        self._vault_token = await fetch_token(self._session, self.state, resource)
        found = await self._send("GET", f"/servicePrincipals(appId='{GRAPH_CLIENT_ID}')")
        self._graph_id = str(found["id"])

    async def _make(self, kind: Kind, name: str, found: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
        address = f"https://{name}.contoso.com"
        if kind.gallery is None:
            access = [{"id": scope, "type": "Scope"} for scope in GRAPH_SCOPES]
            registration = {
                "displayName": name,
                "signInAudience": "AzureADMyOrg",
                "web": {"redirectUris": [address]},
                "requiredResourceAccess": [{"resourceAppId": GRAPH_CLIENT_ID, "resourceAccess": access}],
            }
            application = await self._send("PATCH", f"/applications(uniqueName='{name}')", registration, upsert=True)
            path = f"/servicePrincipals(appId='{application['appId']}')"
            return application, await self._send("PATCH", path, {"appRoleAssignmentRequired": True}, upsert=True)
        template = found["4"]["value"][0]["id"]
        made = await self._send("POST", f"/applicationTemplates/{template}/instantiate", {"displayName": name})
        application, principal = made["application"], made["servicePrincipal"]
        mode = {"preferredSingleSignOnMode": "saml" if kind.saml else "oidc", "appRoleAssignmentRequired": True}
        await self._send("PATCH", f"/servicePrincipals/{principal['id']}", mode)
        settings: dict[str, Any] = {"displayName": name, "web": {"redirectUris": [address]}}
        await self._send("PATCH", f"/applications/{application['id']}", settings)
        return application, principal

    async def _batch(self, requests: list[dict[str, Any]]) -> dict[str, Any]:
        numbered = [{"id": str(number), **request} for number, request in enumerate(requests)]
        answered = await self._send("POST", "/$batch", {"requests": numbered})
        return {each["id"]: each.get("body") for each in answered["responses"]}

    async def _send(self, method: str, path: str, body: Any = None, *, upsert: bool = False) -> Any:
        headers = {"Authorization": f"Bearer {self._token}", **({"Prefer": "create-if-missing"} if upsert else {})}
        url = f"{self.state.graph}/v1.0{path}"
        async with self._session.request(method, url, json=body, headers=headers) as answer:
            text = await answer.text()
            if answer.status >= 300:
                raise RuntimeError(f"{method} {path}: {answer.status} {text}")
            return await answer.json() if text else {}


def body_of(kind: Kind, instance: str) -> dict[str, Any]:
    """The request."""
    return {
        "vendor": kind.vendor,
        "instance": instance,
        "parameters": kind.parameters,
        "owner": "app-owner@contoso.com",
        "assignments": {"users": ["b.simon@contoso.com"], "groups": ["Sales"]},
        "requested_by": "helpdesk@contoso.com",
    }


async def ours(tenant: Tenant, kind: Kind, instance: str) -> None:
    """Take a request in and carry it out until its hand-off is mailed."""
    body = body_of(kind, instance)
    operation = await handlers.intake.accept(tenant, body, Caller(None, None), datetime.now(UTC))
    await handlers.onboarding.run(tenant, operation.id, datetime.now(UTC))


async def see_handed_off(tenant: Tenant) -> None:
    """Look that every onboarding came to its hand-off; raises `RuntimeError`."""
    found, _ = await tenant.ledger.operations()
    if stopped := [operation for operation in found if not operation.handed_off]:
        raise RuntimeError(f"An onboarding stopped: {stopped[0]}")


async def measure_all(bench: Bench, tenant: Tenant) -> list[tuple[Measured, Measured]]:
    """Measure ours and the plain order of each kind, in a tenant at its seed."""
    await bench.control("POST", "/reset")
    await bench.prepare()
    await ours(tenant, WARM, "warm")
    for kind in KINDS:
        await handlers.intake.preview(tenant, body_of(kind, "default"), datetime.now(UTC))
    await bench.slow_down()
    measured = []
    for kind in KINDS:
        mine = await bench.measure(partial(ours, tenant, kind, "default"))
        measured.append((mine, await bench.measure(partial(bench.plain, kind, f"plain-{kind.vendor}"))))
    await see_handed_off(tenant)
    return measured


async def main(*, details: bool) -> int:
    """Measure each kind and print the table; the exit code is 1 where an aim is missed."""
    log = cache_folder() / "bench.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    table = Table(title=f"Onboarding with {LATENCY * 1000:.0f} ms for each call to Graph", title_justify="left")
    for heading in ("kind", "trips", "aim", "plain", "wall", "plain wall", "ratio", "verdict"):
        table.add_column(heading, justify="left" if heading == "kind" else "right", no_wrap=True)
    missed = 0
    console = Console(highlight=False, width=None if sys.stdout.isatty() else 140)
    async with (
        running_sandbox(host=False, log=log) as state,
        aiohttp.ClientSession(connector=connection(state)) as session,
    ):
        os.environ.update(state.env)
        # aiohttp, under the Azure SDKs, reads SSL_CERT_FILE only once, when it is imported.
        aiohttp.connector._SSL_CONTEXT_VERIFIED.load_verify_locations(state.env["SSL_CERT_FILE"])  # noqa: SLF001
        bench = Bench(state, session)
        tenant = Tenant.connect(read_settings(state.env))
        try:
            rounds = [await measure_all(bench, tenant) for _ in range(TIMES)]
            for kind, *measured in zip(KINDS, *rounds, strict=True):
                mine = min((each for each, _ in measured), key=lambda each: each.seconds)
                plain = min((each for _, each in measured), key=lambda each: each.seconds)
                ratio = mine.seconds / plain.seconds
                held = (kind.most_trips is None or mine.trips <= kind.most_trips) and ratio <= MOST_WALL
                missed += not held
                table.add_row(
                    kind.name,
                    str(mine.trips),
                    str(kind.most_trips or "none"),
                    str(plain.trips),
                    f"{mine.seconds:.2f} s",
                    f"{plain.seconds:.2f} s",
                    f"{ratio:.2f}",
                    "held" if held else "missed",
                )
                if details:
                    console.print(f"{kind.name}: {', '.join(mine.operations)}\n  plain: {', '.join(plain.operations)}")
        finally:
            await tenant.close()
    console.print(table)
    return 1 if missed else 0


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m benchmarks.round_trips", description=__doc__)
    parser.add_argument("--details", action="store_true", help="name the calls of each round trip")
    sys.exit(asyncio.run(main(details=parser.parse_args().details)))
