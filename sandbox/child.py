"""A child process of the sandbox: ready when it says so, stopped cleanly, and never left behind.

Its standard input is a pipe whose other end the starter holds: it ends with the starter, however that went, and the
child takes the end of its input as the order to stop.
"""

import asyncio
import contextlib
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Self

# Shown when a child dies before it is ready.
_LAST_LINES = 20
_STARTING = 60.0
_PATIENCE = 10.0


class ChildError(Exception):
    """A child process did not start, or ended by itself; the sentence says which and how."""


class Child:
    """One running child process."""

    def __init__(self, name: str, process: asyncio.subprocess.Process) -> None:
        self.name = name
        self._process = process
        self._said: list[str] = []
        self._reading: asyncio.Task[None] | None = None

    @classmethod
    async def start(
        cls,
        name: str,
        command: Sequence[str],
        environment: Mapping[str, str],
        is_ready: Callable[[Sequence[str]], bool],
        *,
        pass_fds: Sequence[int] = (),
        log: Path | None = None,
    ) -> Self:
        """Start `command` and return when the lines it has printed satisfy `is_ready`; raises ChildError.

        Its standard error, and that of its own children, is added to `log` where one is given.
        """
        pipe = asyncio.subprocess.PIPE
        with contextlib.ExitStack() as opened:
            process = await asyncio.create_subprocess_exec(
                *command,
                stdin=pipe,
                stdout=pipe,
                stderr=opened.enter_context(log.open("ab")) if log else None,
                env=dict(environment),
                pass_fds=pass_fds,
                # Ctrl+C in a terminal reaches the starter alone, which then stops its children in order.
                start_new_session=True,
            )
        child = cls(name, process)
        try:
            async with asyncio.timeout(_STARTING):
                while not is_ready(child._said):
                    await child._read_line()
        except TimeoutError:
            await child.stop()
            raise ChildError(f"{name} was not ready within {_STARTING:.0f} seconds.\n{child._end()}") from None
        except BaseException:
            await child.stop()
            raise
        child._reading = asyncio.create_task(child._read_on())
        return child

    @property
    def said(self) -> Sequence[str]:
        """The last lines of its standard output."""
        return self._said

    async def ended(self) -> ChildError:
        """Wait until the child ends by itself and return the error that this is."""
        code = await self._process.wait()
        return ChildError(f"{self.name} ended by itself with exit code {code}. Its last lines stand above.")

    def kill(self) -> None:
        """End the child as a power cut would: without a chance to clean up."""
        self._process.kill()

    async def stop(self) -> None:
        """Ask the child to stop, and kill it if it does not."""
        if self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                self._process.terminate()
            try:
                await asyncio.wait_for(self._process.wait(), _PATIENCE)
            except TimeoutError:
                self._process.kill()
                await self._process.wait()
        if self._process.stdin is not None:
            self._process.stdin.close()
        if self._reading is not None:
            self._reading.cancel()
            await asyncio.gather(self._reading, return_exceptions=True)

    async def _read_line(self) -> None:
        line = await self._process.stdout.readline() if self._process.stdout is not None else b""
        if not line:
            code = await self._process.wait()
            raise ChildError(f"{self.name} ended with exit code {code} before it was ready.\n{self._end()}")
        self._said.append(line.decode(errors="replace").rstrip())
        del self._said[:-_LAST_LINES]

    async def _read_on(self) -> None:
        """Keep the pipe empty, so that the child never waits to be read, and pass on what it prints."""
        with contextlib.suppress(ChildError):
            while True:
                await self._read_line()
                print(self._said[-1], file=sys.stderr, flush=True)

    def _end(self) -> str:
        return "\n".join(self._said)
