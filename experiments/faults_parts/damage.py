"""Commands that meet damaged files."""

from __future__ import annotations

import random
import shutil
from collections.abc import Callable
from pathlib import Path

from faults_parts.bench import STATUSES, Bench, Fault, contents, last_line, same_tables, traceback_in

Damage = Callable[[Path, random.Random], None]


def cut_off(path: Path, rng: random.Random) -> None:
    """Keep the first bytes only."""
    content = path.read_bytes()
    path.write_bytes(content[: rng.randrange(len(content) + 1)])


def zeros(path: Path, rng: random.Random) -> None:
    """Zeros from somewhere on, as file systems leave them after a loss of power."""
    content = path.read_bytes()
    at = rng.randrange(len(content) + 1)
    path.write_bytes(content[:at] + bytes(len(content) - at))


def flipped(path: Path, rng: random.Random) -> None:
    """One bit is another one."""
    content = bytearray(path.read_bytes())
    if content:
        content[rng.randrange(len(content))] ^= 1 << rng.randrange(8)
    path.write_bytes(bytes(content))


def nothing(path: Path, rng: random.Random) -> None:
    """The file is gone."""
    del rng
    path.unlink()


def empty(path: Path, rng: random.Random) -> None:
    """Something else that can be read."""
    path.write_text(rng.choice(["{}", "[]", "null", ""]), encoding="utf-8")


DAMAGES: dict[str, Damage] = {
    "cut off": cut_off,
    "zeros": zeros,
    "a bit": flipped,
    "gone": nothing,
    "something else": empty,
}
COMMANDS = ("show", "report", "export", "resume")


def damaged_file(bench: Bench, rng: random.Random, number: int) -> Fault:
    """Damage a file of a finished run and give a command: it ends in one message or with the right result."""
    files = sorted(path.relative_to(bench.whole).as_posix() for path in bench.whole.rglob("*") if path.is_file())
    names = list(DAMAGES)
    run, name, command = bench.home / f"damage{number}", names[number % len(names)], rng.choice(COMMANDS)
    file = rng.choice([one for one in files if not one.startswith(("replan", ".meio.lock"))])
    shutil.copytree(bench.whole, run)
    DAMAGES[name](run / file, rng)
    before = contents(run)
    status, text = bench.here(command, run)
    documented = status in STATUSES and "Traceback" not in text
    kept = contents(run) == before or same_tables(run, bench.whole)
    # A resumed run is the run that nothing happened to, or it is refused.
    same = command != "resume" or status == 2 or same_tables(run, bench.whole)
    shutil.rmtree(run, ignore_errors=True)
    line = last_line(text).replace(str(run), "")
    return Fault(f"file: {name}", command, file, status, line, documented, kept, same, traceback_in(text))
