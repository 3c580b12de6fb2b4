"""Azurite as a child process: queue, table and blob service in memory, plain HTTP on 127.0.0.1."""

import asyncio
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from sandbox.azurite.installation import installed_azurite
from sandbox.child import Child

# Azurite's own account: github.com/Azure/Azurite, README, "Default Storage Account". It opens nothing but emulators.
_ACCOUNT = "devstoreaccount1"
_ACCOUNT_KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
_LISTENING = re.compile(r"Azurite (Blob|Queue|Table) service is successfully listening at (http://127\.0\.0\.1:\d+)")
_END_WITH_PARENT = Path(__file__).with_name("end_with_parent.cjs")


@dataclass(frozen=True)
class Azurite:
    """A running Azurite."""

    child: Child
    addresses: Mapping[str, str]
    """Of the services `blob`, `queue` and `table`, without a path."""

    @property
    def connection(self) -> str:
        """Return the connection string that leads to it."""
        return connection_string(self.addresses)


def connection_string(addresses: Mapping[str, str]) -> str:
    """Return the connection string of an emulator whose services answer at these addresses."""
    endpoints = "".join(f"{name.capitalize()}Endpoint={url}/{_ACCOUNT};" for name, url in addresses.items())
    return f"DefaultEndpointsProtocol=http;AccountName={_ACCOUNT};AccountKey={_ACCOUNT_KEY};{endpoints}"


async def start_azurite(port_base: int = 0) -> Azurite:
    """Install Azurite if need be and start it: on three ports from `port_base`, or on free ones where it is 0."""
    installed = await asyncio.to_thread(installed_azurite)
    ports = [str(port_base + offset if port_base else 0) for offset in range(3)]
    command = [
        *(str(installed.node), "--require", str(_END_WITH_PARENT), str(installed.script)),
        # The SDKs speak a newer API version than Azurite knows; telemetry is on otherwise.
        *("--inMemoryPersistence", "--skipApiVersionCheck", "--disableTelemetry", "--silent"),
        *("--queuePort", ports[0], "--tablePort", ports[1], "--blobPort", ports[2]),
    ]
    child = await Child.start("Azurite", command, os.environ, lambda said: len(_addresses(said)) == 3)
    return Azurite(child, _addresses(child.said))


def _addresses(said: Sequence[str]) -> dict[str, str]:
    return {match[1].lower(): match[2] for line in said if (match := _LISTENING.match(line))}
