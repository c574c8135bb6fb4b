"""Ctrl-C and SIGTERM at every stage of a command: heard within two seconds, one line, a documented status."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from marks import some_slow

from meio_jax.cli.signals import GRACE
from meio_jax.results import Result

INTERRUPTED = Result.INTERRUPTED.value

# What the program does when the signals come, as a body of a command; `progress` is the one of a solve.
BUSY = {
    "in a loop that looks": "progress.close()\nwhile True: progress.check(); time.sleep(0.01)",
    "in compiled code": "time.sleep(60)",
    # What a handler raises there is lost.
    "in a callback": "class Thing:\n  def __del__(self):\n    time.sleep(60)\nThing()\ntime.sleep(60)",
    # A library that is left half imported may crash: nothing is raised there.
    "in an import": "sys.path.insert(0, 'PLACE')\nimport slow_one",
}
SLOW = (
    "import sys, time\ntry:\n    time.sleep(60)\nexcept BaseException:\n    sys.stderr.write('left half imported\\n')\n"
)

PROGRAM = """
import os, sys, time
import typer
from pathlib import Path
from meio_jax.cli import commands
@commands.app.command("busy")
def busy(solving: bool = False):
    if solving:
        progress = commands._progress(False)
        if {begun}:
            progress.begun(Path("runs/one"))
    sys.stdout.write("ready\\n"); sys.stdout.flush()
{body}
sys.argv = ["meio", "busy", *sys.argv[1:]]
commands.main()
"""


def busy_body(busy: str, place: Path) -> str:
    (place / "slow_one.py").write_text(SLOW)
    return BUSY[busy].replace("PLACE", str(place))


def program(body: str, begun: bool) -> str:
    return PROGRAM.format(body="\n".join(f"    {line}" for line in body.splitlines()), begun=begun)


def told(code: str, signals: list[int], *words: str) -> tuple[int, str, float]:
    """Status, messages, and seconds between the last signal and the end."""
    pipe = subprocess.PIPE
    process = subprocess.Popen([sys.executable, "-c", code, *words], stdout=pipe, stderr=pipe, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    for number in signals:
        time.sleep(0.2)
        os.kill(process.pid, number)
    begun = time.perf_counter()
    _, text = process.communicate(timeout=30)
    return process.returncode, text, time.perf_counter() - begun


@pytest.mark.parametrize("busy", some_slow(sorted(BUSY), quick=["in an import", "in compiled code"]))
@pytest.mark.parametrize("signals", [[signal.SIGTERM], [signal.SIGINT, signal.SIGINT]], ids=["SIGTERM", "SIGINT twice"])
def test_a_solve_that_judges_its_plan_ends_at_once(busy: str, signals: list[int], tmp_path: Path) -> None:
    body = "progress.close()\n" + busy_body(busy, tmp_path)
    status, text, seconds = told(program(body, True), signals, "--solving")
    assert status == INTERRUPTED, text
    assert "Traceback" not in text
    assert text.strip().splitlines()[-1] == (
        "Ended as told; what is saved is whole. Continue with `meio resume runs/one`."
    )
    # The machine may be busy: what is asked for is the grace and half a second.
    assert seconds < GRACE + 3


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_before_anything_is_written_no_one_is_told_to_resume(number: int) -> None:
    status, text, _ = told(program(BUSY["in compiled code"], False), [number], "--solving")
    assert status == INTERRUPTED
    assert text.strip() == "Ended as told, before anything was written."


@pytest.mark.parametrize(
    "busy", some_slow(["in compiled code", "in a callback", "in an import"], quick=["in a callback"])
)
@pytest.mark.parametrize("signals", [[signal.SIGINT], [signal.SIGTERM], [signal.SIGINT, signal.SIGINT]])
def test_commands_without_a_search_end_in_one_line(busy: str, signals: list[int], tmp_path: Path) -> None:
    status, text, _ = told(program(busy_body(busy, tmp_path), False), signals)
    assert status == INTERRUPTED
    assert text == "Ended as told; what was there before is as it was.\n"


def test_a_search_stops_after_its_step_and_writes_its_plan() -> None:
    step = "from meio_jax.progress import Step\nprogress.update(Step(1, 9, 0.0, 1.0, 1.0, 0.0, 0.0, 0.0))\n"
    body = step + "while not progress.should_stop(): time.sleep(0.01)\nprogress.close()\nraise SystemExit(0)"
    status, text, _ = told(program(body, True), [signal.SIGINT], "--solving")
    assert status == 0
    assert "the best plan so far will be written" in text


def test_a_program_that_ends_as_told_is_not_disturbed_by_one_more() -> None:
    """A second signal between the last words and the end of the interpreter changes nothing."""
    step = "from meio_jax.progress import Step\nprogress.update(Step(1, 9, 0.0, 1.0, 1.0, 0.0, 0.0, 0.0))\n"
    wait = "while not progress.should_stop(): time.sleep(0.01)\nprogress.close()\n"
    body = step + wait + "import signal\nfrom meio_jax.progress import Preempted\nraise Preempted('Told to end.')"
    again = "\ntry:\n    commands.main()\nfinally:\n    os.kill(os.getpid(), signal.SIGTERM)\n"
    code = program(body, True).replace("\ncommands.main()\n", again).replace("import os, sys", "import os, signal, sys")
    status, text, _ = told(code, [signal.SIGTERM], "--solving")
    assert status == INTERRUPTED, text
    assert text.strip().splitlines()[-1] == "Told to end. Continue with `meio resume runs/one`."


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_end_of_the_interpreter_is_not_disturbed(number: int) -> None:
    body = f"import atexit\natexit.register(lambda: os.kill(os.getpid(), {int(number)}))\nraise SystemExit(3)"
    status, text, _ = told(program(body, False), [])
    assert (status, text) == (3, "")


def test_listeners_leave_signals_as_they_were(tmp_path: Path) -> None:
    code = """
import signal
from meio_jax.cli.signals import Listener
before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
for _ in range(3):
    with Listener(5).listening():
        assert signal.getsignal(signal.SIGINT) is not before[0]
assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == before
assert signal.set_wakeup_fd(-1) == -1
"""
    assert subprocess.run([sys.executable, "-c", code], check=False, cwd=tmp_path).returncode == 0
