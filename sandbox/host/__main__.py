"""python -m sandbox.host --app DIR --port P --certfile FILE --keyfile FILE [--enable-auth] [--end-with-stdin]."""

import argparse
import asyncio
import logging
import os
import signal
import socket
import ssl
import sys
import threading
from pathlib import Path

from sandbox.host import STORAGE
from sandbox.host.host_json import HostJsonError
from sandbox.host.index import AppError
from sandbox.host.server import serve

_MASTER_KEY = "SANDBOX_HOST_MASTER_KEY"


def main() -> int:
    """Serve one app folder; the environment holds the app's settings."""
    parser = argparse.ArgumentParser(prog="python -m sandbox.host", description=__doc__)
    parser.add_argument("--app", type=Path, required=True, help="folder with function_app.py and host.json")
    parser.add_argument("--port", type=int, default=0, help="port on 127.0.0.1; 0 takes a free one")
    parser.add_argument("--listener", type=int, help="number of an inherited listening socket, instead of --port")
    parser.add_argument("--certfile", type=Path, required=True)
    parser.add_argument("--keyfile", type=Path, required=True)
    parser.add_argument(
        "--enable-auth", action="store_true", help=f"ask for function keys; master key in {_MASTER_KEY}"
    )
    parser.add_argument(
        "--end-with-stdin", action="store_true", help="stop when standard input ends, as its starter does"
    )
    arguments = parser.parse_args()
    master_key = os.environ.pop(_MASTER_KEY, None)
    if arguments.enable_auth and not master_key:
        parser.error(f"--enable-auth needs the master key in the environment as {_MASTER_KEY}.")
    storage = os.environ.pop(STORAGE, None)
    logging.basicConfig(level=logging.INFO, stream=sys.stderr, format="%(levelname)s %(name)s: %(message)s")
    # Storage polls several times a second, and the SDK tells each one.
    logging.getLogger("azure").setLevel(logging.WARNING)
    if arguments.end_with_stdin:
        threading.Thread(target=_end_with_stdin, daemon=True).start()
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(arguments.certfile, arguments.keyfile)
    if arguments.listener is None:
        listener = socket.create_server(("127.0.0.1", arguments.port))
    else:
        listener = socket.socket(fileno=arguments.listener)
    listener.setblocking(False)
    try:
        asyncio.run(
            serve(arguments.app.resolve(), listener, tls, master_key if arguments.enable_auth else None, storage)
        )
    except (AppError, HostJsonError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def _end_with_stdin() -> None:
    while os.read(sys.stdin.fileno(), 4096):
        pass
    os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    sys.exit(main())
