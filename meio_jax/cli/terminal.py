"""Progress on a terminal (a live line), plain lines when piped, or nothing."""

from __future__ import annotations

import signal
import sys
import time
from types import FrameType

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from meio_jax.progress import AbstractProgress, Preempted, Step

_PLAIN_SECONDS = 5.0


class Interruptible(AbstractProgress):
    """Turns Ctrl-C (SIGINT) or SIGTERM into a clean stop after the step; a second Ctrl-C ends the program at once.

    After Ctrl-C the best plan so far is written; SIGTERM, by which schedulers take a machine away, leaves time for a
    checkpoint only, and none is needed where no step is under way.
    """

    def __init__(self) -> None:
        self.stopped = self.terminated = self.stepping = False
        self._before = {}
        for number in (signal.SIGINT, signal.SIGTERM):
            self._before[number] = signal.signal(number, self._on_signal)

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        del frame
        if self.stopped and number == signal.SIGINT:
            raise KeyboardInterrupt
        self.stopped = True
        self.terminated = self.terminated or number == signal.SIGTERM
        if self.terminated and not self.stepping:
            raise Preempted("Told to end between the steps of a search.")
        what = "a checkpoint will be saved" if self.terminated else "the best plan so far will be written"
        self.stage(f"stopping after this step; {what}")

    def should_stop(self) -> bool:
        return self.stopped

    def preempted(self) -> bool:
        return self.terminated

    def release(self) -> None:
        """Give the signals back."""
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def update(self, step: Step) -> None:
        del step
        self.stepping = True

    def close(self) -> None:
        self.stepping = False


class LiveProgress(Interruptible):
    """One line that is redrawn: step, cost, largest violation, gap, time left."""

    def __init__(self, console: Console) -> None:
        super().__init__()
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
        self.console.print(f"[dim]{name} ...[/dim]")

    def warning(self, text: str) -> None:
        show_warning(self.console, text)

    def close(self) -> None:
        super().close()
        self.bar.stop()


class PlainProgress(Interruptible):
    """A line every few seconds, for logs and pipes."""

    def __init__(self, console: Console) -> None:
        super().__init__()
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
        self.console.print(f"{name} ...", soft_wrap=True)

    def warning(self, text: str) -> None:
        show_warning(self.console, text)


class QuietProgress(Interruptible):
    """Nothing but warnings; signals still stop cleanly."""

    def __init__(self, console: Console) -> None:
        super().__init__()
        self.console = console

    def warning(self, text: str) -> None:
        show_warning(self.console, text)


def show_warning(console: Console, text: str) -> None:
    """One line on the terminal, as it is: no part of it is markup."""
    console.print(f"warning: {text}", style="yellow", markup=False, highlight=False, soft_wrap=True)


def choose_progress(console: Console, *, quiet: bool) -> Interruptible:
    """Live on a terminal, plain when piped, silent with --quiet."""
    if quiet:
        return QuietProgress(console)
    return LiveProgress(console) if sys.stderr.isatty() else PlainProgress(console)
