"""The simulator shares no code with the planner, and says what to install where numba is missing."""

import ast
import subprocess
import sys
from pathlib import Path

import meio_jax.backtest

FOLDER = Path(meio_jax.backtest.__file__).parent
THIRD_PARTY = {"numpy", "numba", "polars"}
OWN = ("meio_jax.backtest", "meio_jax.tables", "meio_jax.errors")


def imported(source: Path) -> set[str]:
    names = set()
    for node in ast.walk(ast.parse(source.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"relative import in {source.name}"
            names.add(node.module or "")
    return names


def test_sources_import_only_what_they_may() -> None:
    for source in FOLDER.rglob("*.py"):
        for name in imported(source):
            root = name.split(".")[0]
            allowed = (
                root in sys.stdlib_module_names
                or root in THIRD_PARTY
                or any(name == own or name.startswith(own + ".") for own in OWN)
            )
            assert allowed, f"{source.relative_to(FOLDER)} imports {name}"


def run(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_nothing_of_the_planner_is_loaded() -> None:
    loaded = run(
        "import sys, meio_jax.backtest, meio_jax.backtest.baselines\n"
        "print(*[name for name in sys.modules if name.split('.')[0] in ('jax', 'equinox', 'meio_kernels')"
        " or name.startswith(('meio_jax.simulation', 'meio_jax.scenarios', 'meio_jax.demand'))])"
    )
    assert loaded.split() == []


def test_missing_numba_is_told_with_its_remedy() -> None:
    said = run(
        "import sys\n"
        "sys.modules['numba'] = None\n"
        "from meio_jax.backtest import PlanTable, simulate\n"
        "from meio_jax.errors import InputError\n"
        "import polars as pl\n"
        "try:\n"
        "    simulate(None, PlanTable(pl.DataFrame()))\n"
        "except InputError as error:\n"
        "    print(error)\n"
    )
    assert 'pip install "meio-jax[backtest]"' in said
