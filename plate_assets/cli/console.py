"""What a person sees of a long piece of work: what happened, line by line, a bar below it, and all the rest in a log file.

Belongs here: how it looks on a terminal, and elsewhere. Not here: what is said (the commands, `orchestration.demo`).
"""

import contextlib
import shutil
import sys
import time
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

import typer

from plate_assets.progress import Progress

WIDTH = 20  # characters of a bar
EVERY_S = 60.0  # between two lines of progress where no person watches


def bar(done: int, total: int, what: str) -> str:
    """How far something is, on one line."""
    filled = WIDTH * done // max(total, 1)
    return f"[{'#' * filled}{'.' * (WIDTH - filled)}] {done} of {total} {what}"


class Console:
    """Lines on standard output and a bar on standard error, as both were when it was made: redirected later, they stay."""

    def __init__(self, log: TextIO) -> None:
        """log: gets the lines too, among what others print there."""
        self._out, self._err, self._log = sys.stdout, sys.stderr, log
        self._bar_shown, self._told_at = False, time.monotonic()

    def say(self, text: str) -> None:
        """A line that stays."""
        self._clear()
        print(text, file=self._out, flush=True)
        print(text, file=self._log, flush=True)

    def fail(self, text: str) -> None:
        """The last line, on standard error."""
        self._clear()
        typer.secho(text, fg="red", file=self._err)

    def progress(self, what: str) -> Progress:
        """How far a step is: a bar that the next one takes the place of, or now and then a line where no person watches."""

        def report(done: int, total: int) -> None:
            if self._err.isatty():
                line = bar(done, total, what)[: shutil.get_terminal_size().columns - 1]
                print(f"\r\033[K{line}", end="", file=self._err, flush=True)
                self._bar_shown = True
            elif time.monotonic() - self._told_at >= EVERY_S:
                self._told_at = time.monotonic()
                print(f"{done} of {total} {what}", file=self._err, flush=True)

        return report

    def _clear(self) -> None:
        if self._bar_shown:
            print("\r\033[K", end="", file=self._err, flush=True)
            self._bar_shown = False


@contextlib.contextmanager
def console_beside(log: Path) -> Iterator[Console]:
    """A console for what is said; what anything else prints meanwhile goes to the log.

    An error, or Ctrl-C, ends the command: the traceback goes to the log, the message and the log's place to the person.
    """
    with log.open("a", buffering=1, encoding="utf-8") as file:
        console = Console(file)
        with contextlib.redirect_stdout(file), contextlib.redirect_stderr(file):
            try:
                yield console
            except BaseException as error:  # Dagster makes its own of Ctrl-C
                traceback.print_exc(file=file)
                console.fail(f"plate-assets: {type(error).__name__}: {error}\nAll that happened is in {log}")
                raise typer.Exit(1) from None
