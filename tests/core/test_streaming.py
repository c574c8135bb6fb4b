"""Items that stream past in parts end as items held in memory do."""

from pathlib import Path

import jax
import numpy as np
import polars as pl
import pytest

from meio_jax.config import make_config
from meio_jax.generate import GenerateOptions, generate_instance
from meio_jax.instance.item_sources import FolderSource, GeneratedSource
from meio_jax.planner import prepare, search
from meio_jax.planner.streamed_plan import write_streamed_plan
from meio_jax.planner.streaming import best_policies, prepare_stream, search_stream
from meio_jax.solver.stream import PartFiles
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
        # A catalog in parts is neither probed nor searched further.
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
    target = model.problem.policy(solution.best).target
    joined = model.instance.layout.join(np.asarray(target), len(model.instance.items))
    return {name: joined[..., column] for column, name in enumerate(model.instance.items)}


def test_parts_of_a_folder_give_the_search_of_the_whole(folder: Path, in_memory, tmp_path: Path) -> None:
    model, solution = in_memory
    streamed = prepare_stream(FolderSource(folder, 16), configuration(), tmp_path / "scratch")
    assert streamed.source.parts == 3
    found = search_stream(streamed)
    np.testing.assert_allclose(
        [step.cost for step in found.history], [step.cost for step in solution.history], rtol=SAME
    )
    norms = [step.price_norm for step in solution.history]
    assert max(norms) > 0
    np.testing.assert_allclose([step.price_norm for step in found.history], norms, rtol=SAME, atol=SAME * max(norms))
    np.testing.assert_allclose(found.prices, solution.prices, rtol=SAME, atol=SAME * max(norms))

    write_streamed_plan(streamed, found, tmp_path / "run")
    wide = pl.read_parquet(tmp_path / "run/plan/targets/*.parquet")
    assert sorted(wide["item_id"].unique()) == sorted(model.instance.items)
    expected = targets_of(model, solution)
    nodes = model.instance.ids.nodes
    largest = max(float(table.max()) for table in expected.values())
    for row in wide.iter_rows(named=True):
        ours = expected[row["item_id"]][row["bucket"], nodes.index(row["node_id"])]
        assert row["target"] == pytest.approx(ours, rel=SAME, abs=SAME * largest)


def test_items_made_on_the_fly_are_those_of_the_folder(folder: Path) -> None:
    made, read = GeneratedSource(OPTIONS, 16), FolderSource(folder, 16)
    assert made.parts == read.parts
    for part in range(made.parts):
        for name, frame in made.tables(part).frames().items():
            other = read.tables(part).frames()[name]
            assert frame.sort(frame.columns).equals(other.sort(frame.columns)), name


def test_size_of_the_parts_does_not_matter(folder: Path, tmp_path: Path) -> None:
    costs = []
    for size in (10, 44):
        config = configuration(max_steps=2, min_steps=2)
        streamed = prepare_stream(FolderSource(folder, size), config, tmp_path / str(size))
        solution = search_stream(streamed)
        policies = [policy for _, _, policy in best_policies(streamed, solution)]
        assert len(policies) == streamed.source.parts
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
    back = files.ahead(files.read, "state", 7).result()
    assert back["a"].tolist() == tree["a"].tolist()
    assert back["a"].dtype == np.int32
    assert float(back["b"][0]) == 1.5
    assert back["b"][1].shape == (0, 2)
    files.close()
