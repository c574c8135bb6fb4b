"""The command `meio serve`."""

from __future__ import annotations

import logging
import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from meio_jax.cli.console import messages, shown
from meio_jax.cli.signals import Heard

_err = messages()


def run_server(
    run: Path, host: str, port: int, token_file: Path | None, sizes: tuple[float, int], instance: Path | None
) -> tuple[Heard, object]:
    """A server that listens, and what is to be called when a signal is heard.

    Args:
        run: Folder of a finished run.
        host: Address.
        port: Port; 0: any that is free.
        token_file: File with the token.
        sizes: Most MiB of a request, and most requests that wait.
        instance: Folder of the instance, if it has moved.

    Raises:
        InputError: If it cannot be started.
    """
    from meio_jax.serve.server import ServeOptions, Server, read_token

    options = ServeOptions(host, port, read_token(token_file), int(sizes[0] * 2**20), sizes[1])
    server = Server(run, options, instance)
    return (lambda number: server.end()), server


Run = Annotated[Path, typer.Argument(help="Folder of a finished run.")]
Host = Annotated[str, typer.Option(help="Address to listen at; others than loopback need a token.")]
Port = Annotated[int, typer.Option(min=0, max=65535, help="Port to listen at; 0: any that is free.")]
TokenFile = Annotated[Path | None, typer.Option(help="File with the token; default the variable MEIO_TOKEN, if set.")]
MaxBody = Annotated[float, typer.Option(min=0.001, max=4096, help="Largest request, MiB.")]
Waiting = Annotated[int, typer.Option(min=1, max=10_000, help="Requests that may wait for the device.")]


class PlainFormatter(logging.Formatter):
    """Lines of a log, tracebacks too, with escapes in place of what a terminal would act on: requests are in them."""

    def format(self, record: logging.LogRecord) -> str:
        """The text of a record."""
        return shown(super().format(record))


def log_to_terminal() -> None:
    """Warnings and errors of the server to standard error."""
    log = logging.StreamHandler(sys.stderr)
    log.setFormatter(PlainFormatter("%(asctime)s %(levelname)s %(message)s"))
    logging.basicConfig(level=logging.WARNING, handlers=[log])


def answer(server: object) -> None:
    """Say where the server is, and answer until told to end."""
    from meio_jax.serve.server import Server

    assert isinstance(server, Server)
    log_to_terminal()
    said = f"Serving at {server.url} (/health, /prices, /explain, /replan, /openapi.json); Ctrl-C or SIGTERM ends it."
    server.run(lambda: _err.print(said, markup=False, highlight=False))
    if server.working:
        # A re-plan that nobody waits for any more cannot be stopped, and has nothing to write.
        sys.stderr.flush()
        os._exit(0)
