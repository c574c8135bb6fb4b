"""Progress on a terminal (a live line), plain lines when piped, or nothing."""

from __future__ import annotations

import signal
import sys
import time
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from meio_jax.cli.signals import Listener
from meio_jax.progress import AbstractProgress, Preempted, Step

_PLAIN_SECONDS = 5.0


class Interruptible(AbstractProgress):
    """Turns Ctrl-C (SIGINT) or SIGTERM into a clean stop after the step.

    After Ctrl-C the best plan so far is written; SIGTERM, by which schedulers take a machine away, leaves time for a
    checkpoint only. Where no step is under way there is nothing to save: then the program ends at once, as it does
    after a second signal. The flags are set by the thread that listens.
    """

    def __init__(self, listener: Listener) -> None:
        self.stopped = self.terminated = self.searching = self.searched = False
        self._listener = listener
        listener.last_words = self.last_words
        listener.heard = self.on_signal

    def on_signal(self, number: int) -> None:
        """What is done about a signal; called by the thread that listens."""
        again, self.stopped = self.stopped, True
        self.terminated = self.terminated or number == signal.SIGTERM
        if self.searching and not again:
            what = "a checkpoint will be saved" if self.terminated else "the best plan so far will be written"
            self.stage(f"stopping after this step; {what}")
        elif self.searched and not again and number == signal.SIGINT:
            self.stage("the plan is being judged and written; Ctrl-C again ends the program at once")
        else:
            self._listener.end_soon()

    def last_words(self) -> str:
        """What the program says when it ends at once."""
        if self._listener.onward is None:
            return "Ended as told, before anything was written."
        return self._listener.usual_words()

    def should_stop(self) -> bool:
        return self.stopped

    def preempted(self) -> bool:
        return self.terminated

    def check(self) -> None:
        if self._listener.ending:
            raise Preempted(self.last_words())

    def begun(self, run: Path, how: str | None = None) -> None:
        self._listener.begun(run, how)

    def update(self, step: Step) -> None:
        del step
        self.searching = True

    def close(self) -> None:
        self.searching, self.searched = False, True


class LiveProgress(Interruptible):
    """One line that is redrawn: step, cost, largest violation, gap, time left."""

    def __init__(self, console: Console, listener: Listener) -> None:
        super().__init__(listener)
        self.console = console
        self.bar = Progress(
            TextColumn("[bold]solve"),
            BarColumn(bar_width=24),
            TextColumn("step {task.completed:.0f}/{task.total:.0f}"),
            TextColumn("{task.fields[figures]}"),
            TimeRemainingColumn(compact=True),
            console=console,
        )
        self.task: TaskID | None = None

    def update(self, step: Step) -> None:
        super().update(step)
        if self.task is None:
            self.bar.start()
            self.task = self.bar.add_task("solve", total=step.max_steps, figures="")
        figures = f"cost {step.cost:,.0f}  violation {step.violation:.2%}  gap {step.gap:.2%}"
        self.bar.update(self.task, completed=step.step, figures=figures)

    def stage(self, name: str) -> None:
        self.console.print(f"{name} ...", style="dim", markup=False)

    def warning(self, text: str) -> None:
        show_warning(self.console, text)

    def close(self) -> None:
        super().close()
        self.bar.stop()


class PlainProgress(Interruptible):
    """A line every few seconds, for logs and pipes."""

    def __init__(self, console: Console, listener: Listener) -> None:
        super().__init__(listener)
        self.console = console
        self.last = -_PLAIN_SECONDS

    def update(self, step: Step) -> None:
        super().update(step)
        now = time.perf_counter()
        if now - self.last < _PLAIN_SECONDS and step.step < step.max_steps:
            return
        self.last = now
        left = step.seconds / max(step.step, 1) * (step.max_steps - step.step)
        self.console.print(
            f"step {step.step}/{step.max_steps}  cost {step.cost:,.0f}  violation {step.violation:.2%}  "
            f"gap {step.gap:.2%}  at most {left:.0f} s left",
            soft_wrap=True,
        )

    def stage(self, name: str) -> None:
        self.console.print(f"{name} ...", soft_wrap=True, markup=False)

    def warning(self, text: str) -> None:
        show_warning(self.console, text)


class QuietProgress(Interruptible):
    """Nothing but warnings; signals still stop cleanly."""

    def __init__(self, console: Console, listener: Listener) -> None:
        super().__init__(listener)
        self.console = console

    def warning(self, text: str) -> None:
        show_warning(self.console, text)


def show_warning(console: Console, text: str) -> None:
    """One line on the terminal, as it is: no part of it is markup."""
    console.print(f"warning: {text}", style="yellow", markup=False, highlight=False, soft_wrap=True)


def choose_progress(console: Console, listener: Listener, *, quiet: bool) -> Interruptible:
    """Live on a terminal, plain when piped, silent with --quiet."""
    if quiet:
        return QuietProgress(console, listener)
    return LiveProgress(console, listener) if sys.stderr.isatty() else PlainProgress(console, listener)
