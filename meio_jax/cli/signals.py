"""Ctrl-C (SIGINT) and SIGTERM: heard at once, wherever the program is.

A handler of Python runs only when the interpreter does, not while compiled code works, and what it raises is lost
inside callbacks. So a thread of its own listens: it sets flags that loops look at, and if the program has not ended
soon after it was told to end at once, the thread ends it. Everything that is written takes its place as a whole, so
that nothing is lost by that.
"""

from __future__ import annotations

import atexit
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from types import FrameType

from meio_jax.errors import visible

GRACE = 1.0
"""Seconds between being told to end at once and being ended."""

Heard = Callable[[int], None]


def deaf_at_exit() -> None:
    """Let the interpreter end undisturbed: all is written by then, and the exit status is the one of the program."""
    atexit.unregister(_ignore)
    atexit.register(_ignore)


def _ignore() -> None:
    if threading.current_thread() is threading.main_thread():
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_IGN)


class Ended(BaseException):
    """Told to end at once; no `KeyboardInterrupt`, which libraries catch and tell in their own words."""


def _is_importing(frame: FrameType | None) -> bool:
    """Whether an import is under way where a handler runs."""
    while frame is not None:
        if frame.f_code.co_filename.startswith("<frozen importlib"):
            return True
        frame = frame.f_back
    return False


def _without_ended(tell: Callable[[sys.UnraisableHookArgs], object]) -> Callable[[sys.UnraisableHookArgs], None]:
    """A hook that says nothing of an `Ended` raised where nothing can be raised: the thread ends the program."""

    def hook(what: sys.UnraisableHookArgs) -> None:
        if what.exc_type is not Ended:
            tell(what)

    return hook


class Listener:
    """The thread that hears signals.

    `heard` is called with the number of every signal, in the thread; None: any signal ends the program at once, with
    `last_words` and the exit status. `onward` says how what has begun can be continued, in words; None: nothing has.
    """

    def __init__(self, status: int) -> None:
        self.heard: Heard | None = None
        self.onward: str | None = None
        self.last_words: Callable[[], str] = self.usual_words
        self._status = status
        self._told = False
        self._ending = threading.Event()
        self._done = threading.Event()

    def usual_words(self) -> str:
        """What the program says when it ends at once, unless a command knows better."""
        if self.onward is None:
            return "Ended as told; what was there before is as it was."
        return f"Ended as told; what is saved is whole. Continue with {self.onward}."

    def begun(self, run: Path, how: str | None = None) -> None:
        """Something can be continued now; what has begun first is the whole, what begins in it a part."""
        if self.onward is None:
            self.onward = how or f"`meio resume {run}`"

    @property
    def ending(self) -> bool:
        """Whether the program was told to end at once."""
        return self._ending.is_set()

    def end_soon(self) -> None:
        """End the program after a moment, unless it ends by itself until then."""
        if not self._ending.is_set():
            self._ending.set()
            threading.Thread(target=self._end, daemon=True).start()

    def _end(self) -> None:
        if not self._done.wait(GRACE):
            # The cursor is hidden by a live line.
            cursor = "\x1b[?25h\n" if sys.stderr.isatty() else ""
            sys.stderr.write(f"{cursor}{visible(self.last_words())}\n")
            sys.stderr.flush()
            os._exit(self._status)

    def _listen(self, pipe: int) -> None:
        while True:
            for number in os.read(pipe, 64):
                if number == 0:
                    return
                self._told = True
                if self.heard is None:
                    self.end_soon()
                else:
                    self.heard(number)

    def _in_main_thread(self, number: int, frame: FrameType | None) -> None:
        del number
        self._told = True
        # A library that is left half imported may end the process by a crash; then the thread ends it.
        if self.heard is None and not _is_importing(frame):
            raise Ended

    @contextmanager
    def listening(self) -> Iterator[Listener]:
        """Listen as long as the context lasts; only the main thread can."""
        if threading.current_thread() is not threading.main_thread():
            yield self
            return
        hears, tells = os.pipe()
        os.set_blocking(tells, False)
        thread = threading.Thread(target=self._listen, args=(hears,), daemon=True)
        before = {number: signal.signal(number, self._in_main_thread) for number in (signal.SIGINT, signal.SIGTERM)}
        woken = signal.set_wakeup_fd(tells, warn_on_full_buffer=False)
        unraisable, sys.unraisablehook = sys.unraisablehook, _without_ended(sys.unraisablehook)
        thread.start()
        try:
            yield self
        finally:
            signal.set_wakeup_fd(woken)
            sys.unraisablehook = unraisable
            for number, handler in before.items():
                # A program that ends as it was told is not disturbed by one more.
                signal.signal(number, signal.SIG_IGN if self._told else handler)
            self._done.set()
            os.write(tells, b"\0")
            thread.join()
            os.close(hears)
            os.close(tells)


LISTENER: ContextVar[Listener] = ContextVar("listener")
"""What hears the signals of the command that runs."""
