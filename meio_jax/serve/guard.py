"""Who may ask, and how much: token, host and size of a request are looked at before anything else is done with it.

Plain ASGI, so that it stands before every route, also those that do not exist.
"""

from __future__ import annotations

import asyncio
import contextlib
import hmac
import json
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass
from typing import Any

from meio_jax.errors import Note, Problem
from meio_jax.serve.models import error_body

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

_LOCAL = ("localhost", "127.0.0.1", "[::1]")
BODY_SECONDS = 30.0
"""Time that a client has to send its request."""
DROP_SECONDS = 5.0
"""Time for which the rest of a refused request is read, so that its client can read the answer."""


@dataclass(frozen=True)
class Guard:
    """An application that only lets through what may be asked.

    Attributes:
        app: What answers.
        token: What the header `Authorization: Bearer ...` must say; None: no token, but then only requests to a
            loopback name are answered, so that no page of another host can ask in a browser's name.
        largest: Most bytes of a body.
    """

    app: App
    token: str | None
    largest: int

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or refuse it."""
        if scope["type"] != "http":
            return
        headers = {name.lower(): value for name, value in scope["headers"]}
        refused = self._refused(headers)
        if refused is not None:
            await _refuse(receive, send, *refused, rest=_has_body(headers))
            return
        try:
            async with asyncio.timeout(BODY_SECONDS):
                body, more = await self._body(headers, receive)
        except TimeoutError:
            found, expected = Note(f"no whole request within {BODY_SECONDS:.0f} s"), "a request that is sent at once"
            await _refuse(
                receive, send, 408, Problem("request", "body", "", found, expected, "send it again"), rest=True
            )
            return
        if body is None:
            expected = f"a body of at most {self.largest:,} bytes"
            remedy = "send fewer items at a time, or start the server with a larger --max-body-mib"
            problem = Problem("request", "body", "", Note("a larger body"), expected, remedy)
            await _refuse(receive, send, 413, problem, rest=more)
            return
        await self.app(scope, _replayed(body, receive), send)

    def _refused(self, headers: dict[bytes, bytes]) -> tuple[int, Problem] | None:
        """Status and problem of a request that is not answered."""
        if self.token is not None:
            given = headers.get(b"authorization", b"")
            if hmac.compare_digest(given, b"Bearer " + self.token.encode()):
                return None
            remedy = "send the header `Authorization: Bearer TOKEN` with the token that the server was started with"
            found = Note("another token" if given else "no token")
            return 401, Problem("request", "header", "Authorization", found, "the token of the server", remedy)
        host = headers.get(b"host", b"").decode("latin-1").lower()
        name = host if host.endswith("]") else host.rpartition(":")[0] or host
        if name in _LOCAL:
            return None
        expected = f"a request to {', '.join(_LOCAL)}, as the server has no token"
        return 403, Problem("request", "header", "Host", host, expected, "ask by that name, or start with a token")

    async def _body(self, headers: dict[bytes, bytes], receive: Receive) -> tuple[bytes | None, bool]:
        """The whole body, None where it is too large; and whether more of it is to come."""
        said = headers.get(b"content-length", b"0")
        if said.isdigit() and int(said) > self.largest:
            return None, True
        parts, size, more = [], 0, True
        while more:
            message = await receive()
            if message["type"] != "http.request":
                break
            parts.append(message.get("body", b""))
            size += len(parts[-1])
            more = message.get("more_body", False)
            if size > self.largest:
                return None, more
        return b"".join(parts), False


def _replayed(body: bytes, receive: Receive) -> Receive:
    """Gives the body that was read already, and then whatever comes."""
    given = False

    async def again() -> MutableMapping[str, Any]:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return again


def _has_body(headers: dict[bytes, bytes]) -> bool:
    """Whether a request says that more follows its headers."""
    return b"transfer-encoding" in headers or headers.get(b"content-length", b"0").strip(b"0") != b""


async def _refuse(receive: Receive, send: Send, status: int, problem: Problem, *, rest: bool) -> None:
    """Say why a request is refused; `rest`: its body has not been read to its end, and the connection ends with it.

    What the client is still sending is read and dropped for a while before the connection is closed. A socket that is
    closed with unread bytes is reset, and a reset takes the answer from a client that has not read it yet.
    """
    body = json.dumps(error_body(status, problem)).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    if status == 401:
        headers.append((b"www-authenticate", b"Bearer"))
    if rest:
        headers.append((b"connection", b"close"))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body, "more_body": rest})
    if rest:
        await _drop_rest(receive)
        await send({"type": "http.response.body", "body": b""})


async def _drop_rest(receive: Receive) -> None:
    """Read a body to its end, or for `DROP_SECONDS`, without keeping it."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(DROP_SECONDS):
            message = await receive()
            while message["type"] == "http.request" and message.get("more_body", False):
                message = await receive()
