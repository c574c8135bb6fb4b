"""Examples of docstrings, run in a namespace that a page of the docs has left behind."""

import doctest
import inspect
from collections.abc import Callable, Iterable
from typing import Any

from meio_jax.backtest import Execution, simulate
from meio_jax.config import dump_config, load_config, make_config
from meio_jax.explain import explain_run
from meio_jax.generate import generate_instance
from meio_jax.items.diff import diff_runs
from meio_jax.planner import Plan, api, certify, plan, prepare, search
from meio_jax.policy import policy_family
from meio_jax.replan import Replanner
from meio_jax.tables import Tables, read_instance, read_item_block, read_network, write_instance
from meio_jax.whatif import whatif_run

# What people call from Python: with an instance at hand, and with a finished run.
ON_AN_INSTANCE = (
    read_instance,
    read_network,
    read_item_block,
    write_instance,
    Tables.from_frames,
    Tables.frames,
    Tables.replace,
    load_config,
    make_config,
    dump_config,
    api.plan,
    prepare,
    search,
    certify,
    plan,
    Plan.frames,
    policy_family,
    generate_instance,
    Execution,
    simulate,
)
ON_A_RUN = (Replanner.replan, explain_run, whatif_run, diff_runs)


def run_example(member: Callable, names: dict[str, Any]) -> None:
    """Run the example of a docstring, which finds the names of its own module as well; a wrong line is an error."""
    module = inspect.getmodule(member)
    known = {**vars(module), **names}
    tests = [one for one in doctest.DocTestFinder(recurse=False).find(member, globs=known) if one.examples]
    assert tests, f"`{member.__qualname__}` has no example"
    for one in tests:
        said: list[str] = []
        failed = doctest.DocTestRunner(verbose=False).run(one, out=said.append).failed
        assert not failed, "".join(said)


def sections(member: Callable) -> set[str]:
    """Names of the sections of a docstring."""
    lines = (inspect.getdoc(member) or "").splitlines()
    return {line[:-1] for line in lines if line.endswith(":") and not line.startswith(" ")}


def missing_sections(members: Iterable[Callable]) -> dict[str, set[str]]:
    """What docstrings lack: arguments where there are some, and an example."""
    found = {}
    for member in members:
        own = [name for name in inspect.signature(member).parameters if name not in ("self", "cls")]
        wanted = {"Example"} | ({"Args"} if own else set())
        if wanted - sections(member):
            found[member.__qualname__] = wanted - sections(member)
    return found
