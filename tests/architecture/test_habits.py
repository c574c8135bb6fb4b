"""House rules that a reader relies on: classes, loops, exceptions, printing, registries, shape checks."""

import abc
import ast
import importlib
import pkgutil
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import equinox as eqx
import jax.numpy as jnp
import pytest
from meio_kernels.assignment import assign_round
from test_imports import KERNELS, PLANNER, module_name, sources

import meio_jax
from meio_jax import dual as dual_package
from meio_jax import objective as objective_package
from meio_jax import policy as policy_package
from meio_jax.demand import AbstractDemand
from meio_jax.dual import DUAL_METHODS, AbstractDualMethod
from meio_jax.objective import OBJECTIVES, AbstractObjective
from meio_jax.policy import POLICIES, AbstractPolicy, policy_family
from meio_jax.registry import choose, discover

# Sweeps over blocks, days or chunks; the solver's own loop is a Python loop in `solve`.
LOOPS = {
    "meio_jax.model.catalog",
    "meio_jax.model.docks",
    "meio_jax.certify.clairvoyant",
    "meio_jax.certify.flow_bound",
    "meio_jax.certify.potentials",
    "meio_jax.demand.history",
    "meio_jax.demand.mean",
    "meio_jax.demand.paths",
    "meio_jax.demand.quantiles",
    "meio_jax.certify.plan_sweep",
    "meio_jax.certify.unit_values",
    "meio_jax.scenarios.leadtimes",
    "meio_jax.planner.learning",
    "meio_jax.plans.decisions",
    "meio_jax.solver.probe",
    "meio_jax.solver.first_levels",
    "meio_jax.solver.refine",
    "meio_jax.simulation.outlook",
    "meio_jax.simulation.rollout",
    "meio_jax.simulation.serve",
    "meio_jax.scenarios.sampling",
    "meio_jax.solver.subproblem",
    "meio_kernels.inversion",
    "meio_kernels.draws",
    "meio_kernels.fused_rounds",
}
LOOP_NAMES = {"scan", "while_loop", "fori_loop", "map"}
# Modules that need a library which is not installed everywhere.
OPTIONAL = ("meio_jax.backtest", "meio_jax.serve.app")
SHAPE_CHECKS = pytest.mark.skipif(
    not hasattr(assign_round, "__wrapped__"), reason="run with --jaxtyping-packages (the project's default)"
)


def own_sources() -> list[Path]:
    return [*sources(PLANNER), *sources(KERNELS)]


def trees() -> Iterator[tuple[str, ast.AST]]:
    for path in own_sources():
        yield module_name(path), ast.parse(path.read_text(encoding="utf-8"))


def own_classes() -> list[type]:
    """Every class of the planner that is an equinox module."""
    found = []
    for info in pkgutil.walk_packages(meio_jax.__path__, "meio_jax."):
        if info.name.startswith(OPTIONAL):
            continue
        module = importlib.import_module(info.name)
        found += [
            value
            for value in vars(module).values()
            if isinstance(value, type) and issubclass(value, eqx.Module) and value.__module__ == info.name
        ]
    return found


def test_every_module_is_abstract_or_final() -> None:
    for kind in own_classes():
        for base in kind.__mro__[1:]:
            if base.__module__.startswith("meio_jax"):
                assert base.__name__.startswith("Abstract"), f"{kind.__name__} extends the final {base.__name__}"
        if kind.__name__.startswith("Abstract"):
            assert isinstance(kind, abc.ABCMeta)
            assert kind.__abstractmethods__, f"{kind.__name__} has nothing to implement"
        else:
            assert not kind.__abstractmethods__, f"{kind.__name__} leaves {set(kind.__abstractmethods__)} open"


def test_nothing_prints_and_nothing_is_caught_bare() -> None:
    for name, tree in trees():
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
                assert node.func.id != "print", f"{name}, line {node.lineno}: print"
            if isinstance(node, ast.ExceptHandler):
                assert node.type is not None, f"{name}, line {node.lineno}: bare except"


def test_loops_stand_where_they_are_expected() -> None:
    found = set()
    for name, tree in trees():
        for node in ast.walk(tree):
            if (
                isinstance(node, ast.Attribute)
                and node.attr in LOOP_NAMES
                and isinstance(node.value, ast.Attribute)
                and node.value.attr == "lax"
            ):
                found.add(name)
    assert found <= LOOPS, f"new loops in {sorted(found - LOOPS)}"


def test_init_files_only_export() -> None:
    for path in own_sources():
        if path.name == "__init__.py":
            for node in ast.parse(path.read_text(encoding="utf-8")).body:
                # A table of names (`__all__`, a registry) is fine; functions and classes have files of their own.
                allowed = isinstance(node, ast.Import | ast.ImportFrom | ast.Expr | ast.Assign | ast.AnnAssign)
                assert allowed, f"{path.parent.name}/__init__.py, line {node.lineno}"


def test_no_file_knows_this_machine() -> None:
    for path in own_sources():
        text = path.read_text(encoding="utf-8")
        for fragment in ("/work/", "/tmp/", "/home/", "/root/"):
            assert fragment not in text, f"{module_name(path)} holds a path of a machine"


@pytest.mark.parametrize(
    ("package", "base", "family"),
    [
        (policy_package, AbstractPolicy, POLICIES),
        (objective_package, AbstractObjective, OBJECTIVES),
        (dual_package, AbstractDualMethod, DUAL_METHODS),
    ],
    ids=["policy", "objective", "dual"],
)
def test_a_file_is_a_member(package: ModuleType, base: type, family: dict[str, type]) -> None:
    files = {info.name for info in pkgutil.iter_modules(package.__path__)} - {"base", "registry"}
    assert set(family) <= files
    for name in files - set(family):
        # Wrappers of a member: not members themselves.
        assert name in ("protected", "best"), f"{name} is in no registry"
    for name, kind in family.items():
        assert issubclass(kind, base)
        assert kind.__module__ == f"{package.__name__}.{name}"
        assert kind.__doc__, f"{kind.__name__} says nothing about itself"


def test_forecast_forms_are_one_per_file() -> None:
    members = discover("meio_jax.demand", AbstractDemand, frozenset({"base", "registry"}))
    # `few_paths` is what the form `paths` becomes where there are few of them.
    assert set(members) == {"paths", "few_paths", "quantiles", "mean", "history"}


def test_a_file_with_two_members_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    module = importlib.import_module("meio_jax.objective.cvar")
    second = type("Second", (AbstractObjective,), {"__module__": module.__name__})
    monkeypatch.setattr(module, "Second", second, raising=False)
    with pytest.raises(TypeError, match="own file"):
        discover("meio_jax.objective", AbstractObjective, frozenset({"base", "registry"}))


def test_an_unknown_name_lists_the_known_ones() -> None:
    with pytest.raises(KeyError, match="base_stock"):
        policy_family("base_stok")
    with pytest.raises(KeyError, match="augmented"):
        choose(DUAL_METHODS, "newton", "Dual method")


@SHAPE_CHECKS
def test_a_mis_shaped_call_of_a_kernel_raises() -> None:
    demand, stock = jnp.ones((3, 2)), jnp.ones((2, 5))
    with pytest.raises(Exception, match="batch"):
        assign_round(demand, stock, jnp.zeros(3, jnp.int32))


@SHAPE_CHECKS
def test_a_mis_shaped_call_of_the_planner_raises() -> None:
    with pytest.raises(Exception, match="scenarios"):
        objective_package.ScenarioCosts(jnp.ones((2, 3)), jnp.ones((2, 4)), jnp.ones((2, 3)), jnp.ones((2, 3)))


def test_shape_checks_are_on(request: pytest.FixtureRequest) -> None:
    """Both packages: with the parenthesised form of the option the second one is skipped silently."""
    wanted = request.config.getoption("--jaxtyping-packages")
    if not wanted:
        pytest.skip("run without shape checks")
    assert hasattr(assign_round, "__wrapped__")
    assert hasattr(policy_family, "__wrapped__")
