"""Items that stream past in parts end as items held in memory do."""

from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest

from meio_jax.certify.slack import read_blocks
from meio_jax.config import make_config
from meio_jax.generate import GenerateOptions, generate_instance
from meio_jax.instance.item_sources import FolderSource, GeneratedSource
from meio_jax.planner import certify, prepare, search, streamed_start
from meio_jax.planner import model as planner_model
from meio_jax.planner.streaming import prepare_stream
from meio_jax.results import Result
from meio_jax.solver.file_store import PartFiles
from meio_jax.solver.first_levels import first_levels
from meio_jax.solver.start import LARGEST_FRACTILE
from meio_jax.tables import read_instance

OPTIONS = GenerateOptions(
    items=44,
    nodes_per_tier=(1, 2, 1),
    regions=3,
    periods=14,
    waves=1,
    speeds=2,
    vendors=4,
    partition_items=16,
    tightness=0.5,
)
STEPS = 4
# Two orders of the same float32 sums; some steps of the search pass differences on.
SAME = 1e-5


def configuration(**solve: object):
    return make_config(
        scenarios={"train": 8, "per_step": 4, "holdout": 8, "clairvoyant": 0},
        solve={
            "max_steps": STEPS,
            "min_steps": STEPS,
            "block_items": 6,
            "devices": 1,
            "probe": False,
            "slack_items": 0,
            **solve,
        },
    )


@pytest.fixture(scope="module", autouse=True)
def _promotion_as_users_have_it():
    """The optimiser library needs it."""
    with jax.numpy_dtype_promotion("standard"):
        yield


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return generate_instance(OPTIONS, tmp_path_factory.mktemp("instance"))


@pytest.fixture(scope="module")
def in_memory(folder: Path):
    model = prepare(read_instance(folder), configuration())
    return model, search(model)


def targets_of(model, solution) -> dict[str, np.ndarray]:
    return levels([model.instance], model, solution)


def levels(instances, model, solution) -> dict[str, np.ndarray]:
    """Targets in units by item."""
    return targets(instances, model, solution.state.items, solution.improved)


def targets(instances, model, items, improved) -> dict[str, np.ndarray]:
    found = {}
    for instance, (_, policy) in zip(instances, model.store.plans(items, improved), strict=True):
        joined = instance.layout.join(np.asarray(policy.target), len(instance.items))
        found |= {name: joined[..., column] for column, name in enumerate(instance.items)}
    return found


def same_levels(ours: dict[str, np.ndarray], theirs: dict[str, np.ndarray]) -> None:
    assert ours.keys() == theirs.keys()
    largest = max(float(table.max()) for table in theirs.values())
    for name, table in theirs.items():
        np.testing.assert_allclose(ours[name], table, rtol=SAME, atol=SAME * largest, err_msg=name)


@pytest.mark.slow
def test_parts_of_a_folder_give_the_search_of_the_whole(folder: Path, in_memory, tmp_path: Path) -> None:
    model, solution = in_memory
    streamed = prepare_stream(FolderSource(folder, 16), configuration(), tmp_path / "scratch")
    assert len(streamed.store.block_sizes) == 3
    found = search(streamed)
    np.testing.assert_allclose(
        [step.cost for step in found.history], [step.cost for step in solution.history], rtol=SAME
    )
    norms = [step.price_norm for step in solution.history]
    assert max(norms) > 0
    np.testing.assert_allclose([step.price_norm for step in found.history], norms, rtol=SAME, atol=SAME * max(norms))
    np.testing.assert_allclose(found.prices, solution.prices, rtol=SAME, atol=SAME * max(norms))
    same_levels(levels(streamed.instances(), streamed, found), targets_of(model, solution))


@pytest.mark.slow
def test_starting_levels_keep_the_capacities_in_parts_as_in_memory(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The bound of the fractile is one for the whole catalog, and is found in both.

    What levels without a bound use is known from building the parts, and not simulated again.
    """
    began = lambda model, instances: targets(instances, model, model.store.start(), False)
    tables = read_instance(folder)
    free = prepare(tables, configuration())
    monkeypatch.setattr(planner_model, "MANY_ITEMS", OPTIONS.items)
    monkeypatch.setattr(streamed_start, "MANY_ITEMS", OPTIONS.items)
    tried: list[float] = []

    def counted(*arguments: Any) -> Any:
        tried.append(arguments[-1])
        return first_levels(*arguments)

    monkeypatch.setattr(streamed_start, "first_levels", counted)
    whole = prepare(tables, configuration())
    streamed = prepare_stream(FolderSource(folder, 16), configuration(), tmp_path / "scratch")
    assert tried
    assert LARGEST_FRACTILE not in tried
    bounded = began(whole, [whole.instance])
    same_levels(began(streamed, streamed.instances()), bounded)
    unbounded = began(free, [free.instance])
    below = [float(np.sum(unbounded[name]) - np.sum(bounded[name])) for name in bounded]
    assert min(below) >= -SAME
    assert max(below) > 0


@pytest.mark.slow
def test_parts_are_probed_confirmed_and_certified_as_the_whole(folder: Path, tmp_path: Path) -> None:
    """With everything that a plan in memory gets: probing, confirmation, feasibility, clairvoyant bound."""
    options = {"probe": True, "feasibility_steps": 4, "violation": 1e-3, "confirm": True}
    config = configuration(**options).model_copy(
        update={"scenarios": configuration().scenarios.model_copy(update={"clairvoyant": 2})}
    )
    models = [
        prepare(read_instance(folder), config),
        prepare_stream(FolderSource(folder, 16), config, tmp_path / "scratch"),
    ]
    plans = [certify(model, search(model)) for model in models]
    whole, parts = plans
    same_levels(*(levels(plan.model.instances(), plan.model, plan.solution) for plan in (parts, whole)))
    ours, theirs = (plan.certificate for plan in (parts, whole))
    assert theirs.infeasible, "the proof is not tried"
    for name in ("holdout_cost", "lagrangian", "coupling_gap", "largest_violation", "clairvoyant_bound"):
        assert getattr(ours, name) == pytest.approx(getattr(theirs, name), rel=10 * SAME, abs=SAME), name
    assert [one["resource"] for one in ours.infeasible] == [one["resource"] for one in theirs.infeasible]


@pytest.mark.slow
def test_queues_at_docks_are_those_of_the_whole(tmp_path: Path) -> None:
    """What all parts bring to a dock makes one queue, in the search and on holdout scenarios."""
    folder = generate_instance(OPTIONS, tmp_path / "instance")
    settings = folder / "instance.yaml"
    settings.write_text(f"{settings.read_text()}docks: queue\n")
    models = [
        prepare(read_instance(folder), configuration()),
        prepare_stream(FolderSource(folder, 16), configuration(), tmp_path / "scratch"),
    ]
    plans = [certify(model, search(model)) for model in models]
    whole, parts = plans
    same_levels(*(levels(plan.model.instances(), plan.model, plan.solution) for plan in (parts, whole)))
    assert parts.docks is not None
    assert whole.docks is not None
    np.testing.assert_allclose(parts.docks.days.waiting, whole.docks.days.waiting, rtol=1e-3, atol=1e-2)
    assert whole.docks.days.waiting.sum() > 1
    assert parts.certificate.holdout_cost == pytest.approx(whole.certificate.holdout_cost, rel=1e-4)


@pytest.mark.slow
def test_a_search_of_parts_stops_when_its_plan_is_confirmed(folder: Path, tmp_path: Path) -> None:
    config = configuration(max_steps=8, min_steps=2, check_every=2, violation=50.0, gap=50.0, confirm=True)
    model = prepare_stream(FolderSource(folder, 16), config, tmp_path / "scratch")
    found = search(model)
    assert (found.result, found.steps) == (Result.CONVERGED, 2)
    assert found.confirmed is not None
    assert found.improved
    # Blocks whose slack is estimated are numbered through all parts.
    sizes = np.concatenate(model.store.block_sizes)
    blocks = read_blocks(model.store, found, [*range(sizes.size)])
    leaves, levels = zip(*(blocks[number] for number in range(sizes.size)), strict=True)
    assert [float(own[0].live.sum()) for own in leaves] == sizes.tolist()
    every = np.concatenate([np.asarray(part.items.mean.target) for part in model.store.each(found.state.items)])
    np.testing.assert_array_equal(np.stack([own.target for own in levels]), every)


@pytest.mark.slow
def test_items_made_on_the_fly_are_those_of_the_folder(folder: Path) -> None:
    made, read = GeneratedSource(OPTIONS, 16), FolderSource(folder, 16)
    assert made.parts == read.parts
    for part in range(made.parts):
        for name, frame in made.tables(part).frames().items():
            other = read.tables(part).frames()[name]
            assert frame.sort(frame.columns).equals(other.sort(frame.columns)), name


@pytest.mark.slow
def test_size_of_the_parts_does_not_matter(folder: Path, tmp_path: Path) -> None:
    costs = []
    for size in (10, 44):
        config = configuration(max_steps=2, min_steps=2)
        streamed = prepare_stream(FolderSource(folder, size), config, tmp_path / str(size))
        solution = search(streamed)
        costs.append([step.cost for step in solution.history])
    np.testing.assert_allclose(costs[0], costs[1], rtol=SAME)


def test_parts_of_another_form_are_refused(tmp_path: Path) -> None:
    files = PartFiles(tmp_path)
    files.write("state", 0, {"target": np.zeros((2, 3), np.float32)})
    with pytest.raises(ValueError, match="part 1 of state"):
        files.write("state", 1, {"target": np.zeros((2, 4), np.float32)})
    files.close()


def test_a_tree_comes_back_as_it_was(tmp_path: Path) -> None:
    files = PartFiles(tmp_path)
    tree = {"a": np.arange(6, dtype=np.int32).reshape(2, 3), "b": (np.float32(1.5), np.zeros((0, 2), bool))}
    files.write("state", 7, tree)
    ((back,),) = files.each(range(7, 8), "state")
    assert back["a"].tolist() == tree["a"].tolist()
    assert back["a"].dtype == np.int32
    assert float(back["b"][0]) == 1.5
    assert back["b"][1].shape == (0, 2)
    files.close()
