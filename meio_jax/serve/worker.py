"""One thread that works on the device, one request after the other; the others wait in a line of bounded length."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

Found = TypeVar("Found")

GRACE = 0.7
"""Seconds that the request under way gets once the server is told to end."""


class Busy(Exception):
    """As many requests wait as may."""


class Ending(Exception):
    """The server has been told to end."""


class Worker:
    """The line of requests.

    Args:
        longest: Most requests that wait, the running one included.
    """

    def __init__(self, longest: int) -> None:
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="meio-serve")
        self._longest = longest
        self._ended = asyncio.Event()
        self.waiting = 0
        self.running = 0

    @property
    def ending(self) -> bool:
        """Whether the server has been told to end."""
        return self._ended.is_set()

    async def do(self, work: Callable[[], Found]) -> Found:
        """Wait in line, and for the work.

        Raises:
            Busy: If the line is full.
            Ending: If the server is told to end before the work is done.
        """
        if self.ending:
            raise Ending
        if self.waiting >= self._longest:
            raise Busy
        begun = []

        def begin() -> Found:
            begun.append(True)
            self.running += 1
            try:
                return work()
            finally:
                self.running -= 1

        self.waiting += 1
        job = asyncio.ensure_future(asyncio.get_running_loop().run_in_executor(self._pool, begin))
        ended = asyncio.ensure_future(self._ended.wait())
        try:
            await asyncio.wait({job, ended}, return_when=asyncio.FIRST_COMPLETED)
            if not job.done() and begun:
                await asyncio.wait({job}, timeout=GRACE)
            if not job.done() or job.cancelled():
                job.cancel()
                raise Ending
            return job.result()
        finally:
            ended.cancel()
            self.waiting -= 1

    def end(self) -> None:
        """Let those that wait go, and begin nothing more. Called in the loop."""
        self._ended.set()
        self._pool.shutdown(wait=False, cancel_futures=True)
