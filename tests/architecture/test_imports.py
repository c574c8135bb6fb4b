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

# Rooms of the numeric core, which run on a bare accelerator image, and the modules of other rooms that belong to it.
NUMERIC_ROOMS = (
    "demand",
    "dual",
    "model",
    "objective",
    "policy",
    "scenarios",
    "simulation",
    "solver",
)
NUMERIC_MODULES = (
    "certify.arc_costs",
    "certify.certificate",
    "certify.clairvoyant",
    "certify.docks",
    "certify.flow_bound",
    "certify.flow_problem",
    "certify.holdout",
    "certify.item_results",
    "certify.plan_sweep",
    "certify.potentials",
    "certify.sample",
    "certify.waits",
    "certify.order_times",
    "certify.worlds",
    "distributed",
    "distributed.kept_programs",
    "distributed.processes",
    "distributed.sharding",
    "errors",
    "progress",
    "registry",
    "results",
)
# `filelock` is pure Python: one process makes a program while others wait for it.
NUMERIC_LIBRARIES = {"jax", "jaxtyping", "equinox", "optax", "numpy", "meio_kernels", "filelock"}

# From the bottom up: a room imports from itself and from rooms above it in this list, never from a later one.
ROOMS = (
    "errors",
    "results",
    "registry",
    "progress",
    "folders",
    "tables",
    "backtest",
    "generate",
    "forecast",
    "distributed",
    "demand",
    "scenarios",
    "model",
    "objective",
    "policy",
    "dual",
    "config",
    "instance",
    "simulation",
    "solver",
    "certify",
    "plans",
    "planner",
    "runs",
    "items",
    "replan",
    "explain",
    "whatif",
    "backtest_loop",
    "report",
    "serve",
    "cli",
    "public",
)

PRESENTATION = ("report", "cli")


def sources(folder: Path) -> Iterator[Path]:
    yield from sorted(folder.rglob("*.py"))


def module_name(path: Path) -> str:
    """Dotted name of a source file."""
    root = PLANNER if path.is_relative_to(PLANNER) else KERNELS
    parts = (root.name, *path.relative_to(root).with_suffix("").parts)
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imported(path: Path) -> set[str]:
    """Every module that a file names in an import, inside functions too."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path.name}: relative import"
            base = node.module or ""
            # `from meio_jax.items import replan` names a module, `from meio_jax.model.costs import Flows` does not.
            found |= {name if is_module(name := f"{base}.{alias.name}") else base for alias in node.names}
    return found


def is_module(name: str) -> bool:
    """Whether a dotted name of the planner is a file or a package of it."""
    pieces = name.split(".")
    place = PLANNER.joinpath(*pieces[1:])
    return pieces[0] == "meio_jax" and (place.with_suffix(".py").is_file() or (place / "__init__.py").is_file())


def room(name: str) -> str:
    """The room (a package, or a module at the root) of the planner that a dotted name belongs to."""
    pieces = name.split(".")
    return pieces[1] if len(pieces) > 1 and pieces[0] == "meio_jax" else ""


def is_numeric(name: str) -> bool:
    return room(name) in NUMERIC_ROOMS or name.removeprefix("meio_jax.") in NUMERIC_MODULES


@pytest.mark.parametrize("path", [path for path in sources(PLANNER) if is_numeric(module_name(path))], ids=module_name)
def test_the_numeric_core_needs_arrays_only(path: Path) -> None:
    for name in imported(path):
        root = name.split(".")[0]
        if root == "meio_jax":
            assert is_numeric(name), f"{module_name(path)} imports {name}"
        else:
            assert root in NUMERIC_LIBRARIES or root in sys.stdlib_module_names, f"{module_name(path)} imports {name}"


def test_numeric_names_exist() -> None:
    found = {module_name(path).removeprefix("meio_jax.") for path in sources(PLANNER)}
    assert {*NUMERIC_ROOMS, *NUMERIC_MODULES} <= found


@pytest.mark.parametrize("path", list(sources(KERNELS)), ids=module_name)
def test_kernels_know_arrays_only(path: Path) -> None:
    for name in imported(path):
        root = name.split(".")[0]
        assert root in {"jax", "jaxtyping", "meio_kernels"} or root in sys.stdlib_module_names, name


def test_imports_point_downward() -> None:
    height = {name: level for level, name in enumerate(ROOMS)}
    wrong = set()
    for path in sources(PLANNER):
        own = room(module_name(path))
        for name in imported(path):
            other = room(name)
            if own and other and height[own] < height[other]:
                wrong.add(f"{module_name(path)} imports {name}")
    assert not wrong, sorted(wrong)


def test_the_list_of_rooms_is_the_tree() -> None:
    found = {room(module_name(path)) for path in sources(PLANNER)} - {""}
    assert found == set(ROOMS), f"missing in the list or in the tree: {sorted(found ^ set(ROOMS))}"
    assert len(set(ROOMS)) == len(ROOMS)


def test_no_import_circle() -> None:
    """Not even one that is broken by an import inside a function."""
    graph = {module_name(path): imported(path) for path in sources(PLANNER)}
    done: set[str] = set()

    def visit(name: str, path: tuple[str, ...]) -> None:
        assert name not in path, " -> ".join((*path[path.index(name) :], name))
        if name not in done:
            for other in sorted(graph[name] & set(graph)):
                visit(other, (*path, name))
            done.add(name)

    for name in graph:
        visit(name, ())


@pytest.mark.parametrize("shown", PRESENTATION)
def test_only_commands_import_presentation(shown: str) -> None:
    assert shown in ROOMS
    for path in sources(PLANNER):
        own = module_name(path)
        if room(own) not in (shown, "cli"):
            assert shown not in {room(name) for name in imported(path)}, f"{own} imports {shown}"


def test_the_root_stays_small_and_the_house_low() -> None:
    modules = [path.stem for path in PLANNER.glob("*.py")]
    assert len(modules) <= 12, sorted(modules)
    rooms: dict[str, set[str]] = {name: set() for name in ROOMS}
    for path in sources(PLANNER):
        own = room(module_name(path))
        if own:
            rooms[own] |= {room(name) for name in imported(path)} - {own, ""}
    floor: dict[str, int] = {}
    for name in ROOMS:
        floor[name] = 1 + max((floor[other] for other in rooms[name]), default=0)
    assert max(floor.values()) <= 14, floor


def test_the_simulator_of_orders_shares_no_code_with_the_rollout() -> None:
    for path in sources(PLANNER / "backtest"):
        for name in imported(path):
            assert name.split(".")[0] not in ("meio_kernels", "jax"), f"{path.name} imports {name}"
            assert room(name) not in ("simulation", "scenarios"), name
