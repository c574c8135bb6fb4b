"""Starting the server, and ending it as told."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import os
import socket
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from meio_jax.errors import Note, Problem, Refusal
from meio_jax.serve.guard import Guard
from meio_jax.serve.service import RunService
from meio_jax.serve.worker import Ending, Worker
from meio_jax.tables.extras import optional_library

TOKEN_VARIABLE = "MEIO_TOKEN"
_SHORTEST = 16
_CONNECTIONS = 512
_PLACE = "meio serve"


@dataclass(frozen=True)
class ServeOptions:
    """Where and how to serve.

    Attributes:
        host, port: Address; port 0: any that is free.
        token: What requests must show; None: nothing, on a loopback address only.
        max_body: Most bytes of a request.
        waiting: Most requests that wait for the device, the running one included.
        warm_up: Whether programs are compiled before they are asked for.
    """

    host: str = "127.0.0.1"
    port: int = 8080
    token: str | None = None
    max_body: int = 16 * 2**20
    waiting: int = 64
    warm_up: bool = True


def read_token(file: Path | None) -> str | None:
    """The token of the server: the content of a file, or of the variable `MEIO_TOKEN`; None where there is neither.

    Raises:
        InputError: If it is too short to be safe, or the file cannot be read.
    """
    place = TOKEN_VARIABLE if file is None else str(file)
    try:
        text = os.environ.get(TOKEN_VARIABLE) if file is None else file.read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        found = Note(" ".join(str(error).split()))
        raise Refusal(Problem(place, "", "", found, "a file with the token", "check --token-file")) from None
    if text is None:
        return None
    token = text.strip()
    if len(token) < _SHORTEST or not token.isascii() or not token.isprintable() or " " in token:
        found, expected = (
            Note(f"{len(token)} characters"),
            f"at least {_SHORTEST} printable ASCII characters, no blanks",
        )
        remedy = "make one with `python -c 'import secrets; print(secrets.token_urlsafe(32))'`"
        raise Refusal(Problem(place, "", "token", found, expected, remedy))
    return token


def is_loopback(host: str) -> bool:
    """Whether an address is reached from this machine only."""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


class Server:
    """A server of a run that listens, and answers once `run` is called.

    Args:
        run: Folder of a finished run.
        options: Where and how.
        instance: Folder of the instance, if it has moved.

    Raises:
        InputError: If the run cannot be used, the address needs a token or is taken, or a library is not installed.
    """

    def __init__(self, run: Path, options: ServeOptions, instance: Path | None = None) -> None:
        if options.token is None and not is_loopback(options.host):
            expected = "a token, as others than this machine could ask"
            remedy = f"set {TOKEN_VARIABLE} or give --token-file; or leave --host at 127.0.0.1"
            raise Refusal(Problem(_PLACE, "", "--host", options.host, expected, remedy))
        self._uvicorn = optional_library("uvicorn", "serve", _PLACE, "to serve HTTP")
        optional_library("fastapi", "serve", _PLACE, "to serve HTTP")
        self._options = options
        self._socket = _listening(options)
        try:
            self._service = RunService(run, instance)
        except BaseException:
            self._socket.close()
            raise
        self._loop: asyncio.AbstractEventLoop | None = None
        self._worker: Worker | None = None
        self._server: Any = None

    @property
    def url(self) -> str:
        """Where the server answers."""
        host, port = self._socket.getsockname()[:2]
        return f"http://{f'[{host}]' if ':' in host else host}:{port}"

    @property
    def working(self) -> bool:
        """Whether the device is at work for a request that nobody waits for any more."""
        return self._worker is not None and self._worker.running > 0

    def run(self, begun: Callable[[], None] = lambda: None) -> None:
        """Answer until told to end.

        Args:
            begun: Called once requests are answered.
        """
        try:
            asyncio.run(self._run(begun))
        finally:
            self._socket.close()

    def end(self) -> None:
        """End within two seconds: what waits is refused, what runs gets a moment. From any thread."""
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._end)

    def _end(self) -> None:
        if self._worker is not None:
            self._worker.end()
        if self._server is not None:
            self._server.should_exit = True

    async def _run(self, begun: Callable[[], None]) -> None:
        from meio_jax.serve.app import build_app

        self._loop, self._worker = asyncio.get_running_loop(), Worker(self._options.waiting)
        app = Guard(build_app(self._service, self._worker), self._options.token, self._options.max_body)
        config = self._uvicorn.Config(
            app,
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            ws="none",
            limit_concurrency=_CONNECTIONS,
            timeout_graceful_shutdown=1,
        )
        self._server = self._uvicorn.Server(config)
        # Signals are heard elsewhere: its own handlers would raise them once more at the end.
        self._server.capture_signals = contextlib.nullcontext
        warming = asyncio.ensure_future(self._warm_up(self._worker))
        begun()
        await self._server.serve(sockets=[self._socket])
        warming.cancel()

    async def _warm_up(self, worker: Worker) -> None:
        if not self._options.warm_up:
            self._service.ready = True
            return
        with contextlib.suppress(Ending):
            await worker.do(self._service.warm_up)


def _listening(options: ServeOptions) -> socket.socket:
    """A socket that listens at the address.

    Raises:
        InputError: If it cannot.
    """
    try:
        family = socket.AF_INET6 if ":" in options.host else socket.AF_INET
        return socket.create_server((options.host, options.port), family=family, backlog=512)
    except (OSError, OverflowError) as error:
        found = Note(f"{options.host}:{options.port}: {getattr(error, 'strerror', None) or error}")
        remedy = "choose another --port (0: any that is free) or --host"
        raise Refusal(Problem(_PLACE, "", "--port", found, "an address that is free", remedy)) from None
