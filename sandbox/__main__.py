"""python -m sandbox up | demo: the whole product on one machine, without an Azure account."""

import argparse
import asyncio
import importlib
import os
import signal
import sys
import threading
from pathlib import Path

from sandbox.azurite.installation import InstallationError
from sandbox.unkind.switches import CHOICES
from sandbox.up import Options, up


def main() -> int:
    """Run the command that was given; the exit code tells whether it went well."""
    parser = argparse.ArgumentParser(prog="python -m sandbox", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    start = commands.add_parser("up", help="start everything and serve until stopped")
    start.add_argument("--state-file", type=Path, required=True, help="endpoints and the app's environment, as JSON")
    start.add_argument(
        "--port-base", type=_port, default=0, help="first of eleven ports; without it free ones are taken"
    )
    start.add_argument("--no-host", action="store_true", help="all but the Functions host")
    start.add_argument("--app", type=Path, default=Options.app, help="folder of the app that the host serves")
    start.add_argument("--address", type=_loopback, default="127.0.0.1", help="127.0.0.1, and nothing else")
    start.add_argument("--end-with-stdin", action="store_true", help="stop when standard input ends")
    start.add_argument("--people", type=int, default=Options.people, help="how many work at contoso.com")
    show = commands.add_parser("demo", help="onboard the five vendors and sign a person in to each")
    show.add_argument("--keep", action="store_true", help="keep everything running afterwards, until Ctrl+C")
    for command in (start, show):
        command.add_argument("--seed", type=int, default=Options.seed, help="decides every draw")
        command.add_argument("--calm", action="store_true", help="without lag, throttling and faults")
        command.add_argument("--lag", choices=CHOICES["lag"], help="how far replicas are behind: normal unless calm")
        command.add_argument("--rate", type=_rate, default=Options.rate, help="sandbox seconds per second")
    arguments = parser.parse_args()
    if arguments.command == "demo":
        return int(importlib.import_module("sandbox.demo").main(arguments))
    if arguments.end_with_stdin:
        threading.Thread(target=_end_with_stdin, daemon=True).start()
    options = Options(
        seed=arguments.seed,
        calm=arguments.calm,
        lag=arguments.lag,
        port_base=arguments.port_base,
        rate=arguments.rate,
        with_host=not arguments.no_host,
        app=arguments.app.resolve(),
        people=arguments.people,
    )
    try:
        return asyncio.run(up(options, arguments.state_file.resolve()))
    except InstallationError as error:
        print(error, file=sys.stderr)
        return 1


def _port(text: str) -> int:
    port = int(text)
    if not 1024 <= port <= 65000:
        raise argparse.ArgumentTypeError(f"expected a port from 1024 to 65000, found {port}")
    return port


def _rate(text: str) -> float:
    rate = float(text)
    if not 0 < rate <= 100_000:
        raise argparse.ArgumentTypeError(f"expected sandbox seconds per second, above 0, found {text}")
    return rate


def _loopback(text: str) -> str:
    if text != "127.0.0.1":
        raise argparse.ArgumentTypeError(
            f"expected 127.0.0.1, found {text}: the sandbox hands out secrets to whoever asks, so it stays on loopback"
        )
    return text


def _end_with_stdin() -> None:
    while os.read(sys.stdin.fileno(), 4096):
        pass
    os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    sys.exit(main())
