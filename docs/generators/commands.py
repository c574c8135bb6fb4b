"""The page `docs/cli.md`, written from the commands and the outcomes of a solve."""

from __future__ import annotations

import inspect
import typing
from typing import Any

from typer.models import ArgumentInfo

from generators.configuration import default_text, type_name
from meio_jax.cli.commands import BAD_INPUT, app
from meio_jax.results import Result

_INTRODUCTION = """\
# The command `meio`

*This page is generated from the commands by `python docs/write.py`; a test keeps it up to date.*

`meio COMMAND --help` prints the same. Progress and errors go to standard error, results to standard output. On a
terminal, progress is one live line; piped, it is plain lines; `--quiet` shows none.
"""

_BAD_INPUT = (
    "Bad input: a file, table, key or option is wrong. The message names file, place, value, what was expected and how "
    "to mend it, all problems at once. Nothing has been written."
)
_CLOSING = """\
The run folder holds the best plan for every status of a solve but 1 and 2. Ctrl-C (SIGINT) stops after the running
step and writes the plan; SIGTERM saves a checkpoint and ends with the status of an interruption, so that `meio resume`
continues.
"""
_CRASH = "An error of the program itself, with a traceback: please report it."


def command_page() -> str:
    """The text of `docs/cli.md` (Markdown)."""
    return "\n".join([_INTRODUCTION, _statuses(), *(_command(one.callback) for one in app.registered_commands)])


def _statuses() -> str:
    """What each exit status means, in the order of the numbers."""
    rows = {0: "Done; of a solve: " + Result.CONVERGED.message, 1: _CRASH, BAD_INPUT: _BAD_INPUT}
    rows |= {result.value: result.message for result in Result if result.value}
    lines = ["## Exit status\n", "| status | name | meaning |", "|---|---|---|"]
    names = {result.value: f"`{result.name}`" for result in Result}
    lines += [f"| {status} | {names.get(status, '')} | {text} |" for status, text in sorted(rows.items())]
    return "\n".join(lines) + "\n\n" + _CLOSING


def _command(function: Any) -> str:
    """Usage, arguments and options of a command, from the signature of its function."""
    name = function.__name__.replace("_", "-")
    hints = typing.get_type_hints(function, include_extras=True)
    places, options = [], []
    for key, parameter in inspect.signature(function).parameters.items():
        kind, info = typing.get_args(hints[key])
        words = f"{'flag' if kind is bool else type_name(kind)} | {_default(parameter.default)} | {info.help or ''} |"
        if isinstance(info, ArgumentInfo):
            places.append((key.upper(), parameter.default, words))
        else:
            # In an annotation the first name of an option stands where its default would.
            given = [one for one in (info.default, *(info.param_decls or ())) if str(one).startswith("-")]
            options.append((", ".join(given or ["--" + key.replace("_", "-")]), words))
    usage = " ".join(key if default is inspect.Parameter.empty else f"[{key}]" for key, default, _ in places)
    lines = [
        f"## {name}\n",
        f"{(function.__doc__ or '').strip()}\n",
        f"    meio {name} {usage}{' [OPTIONS]' if options else ''}\n",
    ]
    lines += ["| argument or option | type | default | meaning |", "|---|---|---|---|"]
    lines += [f"| `{key}` | {words}" for key, _, words in places]
    lines += [f"| `{key}` | {words}" for key, words in options]
    return "\n".join(lines) + "\n"


def _default(value: object) -> str:
    if value is inspect.Parameter.empty:
        return "required"
    return "none" if value is None or value is False else default_text(value)
