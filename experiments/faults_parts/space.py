"""Commands that run out of space: no file may grow beyond a random size."""

from __future__ import annotations

import random
import shutil

from faults_parts.bench import STATUSES, Bench, Fault, contents, last_line, traceback_in
from faults_parts.kills import COMMANDS, again, is_kept, is_same, prepared


def no_space(bench: Bench, rng: random.Random, number: int) -> Fault:
    """Give a command in which writes beyond a size fail, as they do on a full disk."""
    command = COMMANDS[number % len(COMMANDS)]
    run = bench.home / f"space{number}"
    words = prepared(bench, run, command)
    before = contents(run)
    size = int(2 ** rng.uniform(6, 16))
    limit = f"import resource; resource.setrlimit(resource.RLIMIT_FSIZE, ({size}, {size})); "
    process = bench.start(*words, before=limit)
    text = process.communicate(timeout=600)[0]
    documented = process.returncode in STATUSES and "Traceback" not in text
    kept = is_kept(bench, run, command, before)
    bench.here(*again(run, command, words))
    same = is_same(bench, run, command)
    line = last_line(text).replace(str(bench.home), "")
    shutil.rmtree(run, ignore_errors=True)
    return Fault(
        "no space",
        command,
        f"files up to {size} B",
        process.returncode,
        line,
        documented,
        kept,
        same,
        traceback_in(text),
    )
