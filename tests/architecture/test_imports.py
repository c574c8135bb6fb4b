"""Imports point downward, and the numeric core runs without tables, configuration or command line."""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import meio_kernels
import pytest

import meio_jax

PLANNER = Path(meio_jax.__file__).parent
KERNELS = Path(meio_kernels.__file__).parent

NUMERIC_PACKAGES = ("demand", "policy", "objective", "dual")
NUMERIC_MODULES = (
    "catalog",
    "certificate",
    "clairvoyant",
    "costs",
    "fulfilment",
    "holdout",
    "leadtimes",
    "network",
    "price_scale",
    "problem",
    "progress",
    "registry",
    "replenish",
    "resources",
    "results",
    "rollout",
    "scenarios",
    "serve",
    "sharding",
    "solve",
    "start",
    "subproblem",
)
NUMERIC_LIBRARIES = {"jax", "jaxtyping", "equinox", "optax", "numpy", "meio_kernels"}

# From the bottom up: a module may import from its own layer and the layers before it.
LAYERS = (
    ("errors", "results", "registry", "progress", "network", "costs", "sharding", "compile_cache"),
    ("fulfilment", "price_scale", "resources", "leadtimes", "demand", "policy", "objective", "tables", "generate"),
    ("scenarios", "dual", "serve", "replenish", "backtest", "forecast"),
    ("rollout", "catalog", "start"),
    ("subproblem", "instance"),
    ("problem", "solve", "holdout", "feasibility", "clairvoyant", "marginal", "refine", "processes"),
    ("stream",),
    ("certificate", "plan", "config", "portable", "step_folders"),
    ("verdict", "run_folder", "item_sources"),
    ("plan_flows", "plan_policy", "config_docs", "confirm"),
    ("plan_tables", "checkpoint", "summary", "terminal", "planner"),
    ("resume", "warm", "replan", "one_item", "streaming", "stream_checkpoint"),
    ("streamed_proof",),
    ("streamed_plan",),
    ("streamed_run",),
    ("run", "report"),
    ("replan_run",),
    ("explain", "whatif"),
    ("explain_text",),
    ("whatif_text",),
    ("cli",),
    ("cli_docs",),
)


def sources(folder: Path) -> Iterator[Path]:
    yield from sorted(folder.rglob("*.py"))


def module_name(path: Path) -> str:
    """Dotted name of a source file."""
    root = PLANNER if path.is_relative_to(PLANNER) else KERNELS
    parts = (root.name, *path.relative_to(root).with_suffix("").parts)
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imported(path: Path, *, top: bool = False) -> set[str]:
    """Every module that a file names in an import, wherever it stands or (`top`) outside functions only."""
    found = set()
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in tree.body if top else ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path.name}: relative import"
            base = node.module or ""
            # `from meio_jax import policy` names a module, `from meio_jax.costs import Flows` does not.
            found |= {f"{base}.{alias.name}" for alias in node.names} if base in ("meio_jax",) else {base}
    return found


def part(name: str) -> str:
    """The module or package of the planner that a dotted name belongs to."""
    pieces = name.split(".")
    return pieces[1] if len(pieces) > 1 else ""


def numeric_files() -> list[Path]:
    files = [PLANNER / f"{name}.py" for name in NUMERIC_MODULES if (PLANNER / f"{name}.py").exists()]
    return files + [path for name in NUMERIC_PACKAGES for path in sources(PLANNER / name)]


@pytest.mark.parametrize("path", numeric_files(), ids=module_name)
def test_the_numeric_core_needs_arrays_only(path: Path) -> None:
    for name in imported(path):
        root = name.split(".")[0]
        if root == "meio_jax":
            assert part(name) in (*NUMERIC_MODULES, *NUMERIC_PACKAGES), f"{module_name(path)} imports {name}"
        else:
            assert root in NUMERIC_LIBRARIES or root in sys.stdlib_module_names, f"{module_name(path)} imports {name}"


@pytest.mark.parametrize("path", list(sources(KERNELS)), ids=module_name)
def test_kernels_know_arrays_only(path: Path) -> None:
    for name in imported(path):
        root = name.split(".")[0]
        assert root in {"jax", "jaxtyping", "meio_kernels"} or root in sys.stdlib_module_names, name


def test_imports_point_downward() -> None:
    height = {name: level for level, names in enumerate(LAYERS) for name in names}
    wrong = []
    for path in sources(PLANNER):
        own = part(module_name(path))
        for name in imported(path):
            other = part(name) if name.startswith("meio_jax.") else ""
            if own and other and other in height and height.get(own, 99) < height[other]:
                wrong.append(f"{own} imports {other}")
    assert not wrong, sorted(set(wrong))


def test_every_module_has_a_layer() -> None:
    known = {name for names in LAYERS for name in names}
    found = {part(module_name(path)) for path in sources(PLANNER)} - {""}
    assert found <= known | {"sharding", "stream", "report"}, f"give {sorted(found - known)} a layer"


def test_no_import_cycles() -> None:
    graph = {module_name(p): {n for n in imported(p, top=True) if n.startswith("meio_jax")} for p in sources(PLANNER)}
    done: set[str] = set()

    def visit(name: str, path: tuple[str, ...]) -> None:
        assert name not in path, " -> ".join((*path[path.index(name) :], name))
        if name in done:
            return
        for other in graph.get(name, ()):
            # A package and its own modules name each other: the package re-exports.
            if other != name and not name.startswith(other + ".") and other in graph:
                visit(other, (*path, name))
        done.add(name)

    for name in graph:
        visit(name, ())


def test_the_simulator_of_orders_shares_no_code_with_the_rollout() -> None:
    for path in sources(PLANNER / "backtest"):
        for name in imported(path):
            assert name.split(".")[0] not in ("meio_kernels", "jax"), f"{path.name} imports {name}"
            assert part(name) not in ("rollout", "serve", "replenish", "fulfilment", "scenarios"), name
