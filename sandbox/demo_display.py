"""What the demo shows: a line for each step as it happens, a bar for each vendor meanwhile, a table at last.

Where the output is no terminal, the same lines are printed plainly and the bars are left out.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Table

PLAIN_WIDTH = 120  # columns where no terminal says how many it has


@dataclass
class Line:
    """One vendor's line of the table; what has not happened stays empty."""

    name: str
    protocol: str = ""
    handed_over: str = ""
    signed_in: str = ""
    refused: str = ""
    operation: str = ""
    link: str = ""


class Display:
    """Prints what happens, when it happens."""

    def __init__(self, console: Console | None = None) -> None:
        self.console = console or Console(highlight=False)
        if not self.console.is_terminal:
            self.console.width = PLAIN_WIDTH
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("[dim]{task.fields[doing]}"),
            console=self.console,
            transient=True,
            disable=not self.console.is_terminal,
        )
        self._tasks: dict[str, TaskID] = {}

    @contextmanager
    def bars(self, names: list[str]) -> Iterator[None]:
        """Show a bar for each name for as long as the context is open."""
        self._tasks = {
            name: self._progress.add_task(f"{name:<12}", total=None, start=False, doing="waits") for name in names
        }
        with self._progress:
            yield

    def say(self, sentence: str) -> None:
        """Print a sentence."""
        self.console.print(escape(sentence))

    def begin(self, name: str, heading: str) -> None:
        """Turn to one vendor."""
        self.console.print()
        self.console.print(f"[bold]{escape(heading)}")
        if name in self._tasks:
            self._progress.start_task(self._tasks[name])

    def plan(self, name: str, steps: int) -> None:
        """Tell how many lines this vendor will have."""
        if name in self._tasks:
            self._progress.update(self._tasks[name], total=steps)

    def step(self, name: str, label: str, sentence: str, *, good: bool = True) -> None:
        """Print one step that has happened, or has not."""
        colour = "green" if good else "bold red"
        self.console.print(f"  [{colour}]{escape(label):<10}[/{colour}] {escape(sentence)}", soft_wrap=True)
        if name in self._tasks:
            self._progress.update(self._tasks[name], advance=1, doing=label)

    def table(self, lines: list[Line], caption: str) -> None:
        """Print the summary; a terminal that knows links finds one under each operation."""
        table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold", collapse_padding=True)
        for heading in ("vendor", "protocol", "handed over", "signed in", "refused", "operation"):
            table.add_column(heading, no_wrap=heading != "handed over")
        for line in lines:
            operation = f"[link={line.link}]{escape(line.operation)}[/link]" if line.link else escape(line.operation)
            told = (escape(text) for text in (line.name, line.protocol, line.handed_over, line.signed_in, line.refused))
            table.add_row(*told, operation)
        self.console.print()
        self.console.print(table)
        self.say(caption)
