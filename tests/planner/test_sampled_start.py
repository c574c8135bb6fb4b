"""A search of all items that begins with one of a sample: what is sampled, what the others take over, and resuming."""

from dataclasses import replace
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from meio_jax.config import make_config
from meio_jax.generate import GenerateOptions, generate_instance
from meio_jax.instance.item_sources import FolderSource
from meio_jax.planner import prepare, search
from meio_jax.planner.sampled_start import SampledStart, _by_class, _factors, _share, found_by_sample, sampled_start
from meio_jax.planner.streaming import prepare_stream
from meio_jax.progress import Preempted, Silent, Step
from meio_jax.runs.portable import to_named
from meio_jax.runs.resume import own_parts, search_saved, write_basis
from meio_jax.solver.store import MemoryStore, Moment, every_nth, part_step
from meio_jax.tables import read_instance

# Its solves are of shapes that no other module has.
pytestmark = pytest.mark.slow

OPTIONS = GenerateOptions(
    items=44,
    nodes_per_tier=(1, 2, 1),
    regions=3,
    periods=14,
    waves=1,
    speeds=2,
    vendors=4,
    partition_items=11,
    tightness=0.5,
)


def configuration(**solve: object):
    usual = {"max_steps": 6, "min_steps": 2, "block_items": 4, "devices": 1, "probe": False, "slack_items": 0}
    few = {"sample_items": 12, "sample_steps": 5, "confirm": False, "violation": 1e-6}
    return make_config(
        scenarios={"train": 8, "per_step": 4, "holdout": 8, "clairvoyant": 0}, solve={**usual, **few, **solve}
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return generate_instance(OPTIONS, tmp_path_factory.mktemp("instance"))


@pytest.fixture(scope="module")
def begin(folder: Path) -> SampledStart:
    found = sampled_start(prepare(read_instance(folder), configuration()))
    assert found is not None
    return found


@given(
    blocks=st.lists(st.tuples(st.integers(0, 5), st.integers(0, 3)), min_size=1, max_size=30),
    devices=st.integers(1, 4),
    share=st.floats(0, 1.5),
)
def test_a_sample_has_blocks_of_every_group_on_every_device(
    blocks: list[tuple[int, int]], devices: int, share: float
) -> None:
    sizes, groups = np.tile(np.asarray(blocks, float), (devices, 1)).T
    chosen = every_nth(sizes, groups, share, devices)
    assert not (chosen & (sizes == 0)).any()
    for group in np.unique(groups):
        held = ((groups == group) & (sizes > 0)).sum() // devices
        each = (chosen & (groups == group)).reshape(devices, -1).sum(1)
        assert (each == min(max(round(share * held), 1), held)).all()


def moment(problem) -> Moment:
    free = problem.zero_prices()
    return Moment(free + 0.1, free, jnp.zeros((), jnp.int32), jnp.ones(()), jnp.zeros((), bool))


@pytest.mark.parametrize("together", [1, 3])
def test_a_sweep_of_a_sample_moves_and_counts_its_items_alone(begin: SampledStart, together: int) -> None:
    problem = begin.sample.problem
    problem = replace(problem, settings=replace(problem.settings, together=together))
    seen = np.asarray(problem.swept) > 0
    assert 0 < seen.sum() < seen.size
    masks = [jnp.asarray(mask, problem.swept.dtype) for mask in (seen, ~seen, seen | ~seen)]
    items, at = MemoryStore(problem).start(), moment(problem)
    own, others, whole = (part_step(replace(problem, swept=mask), items, at) for mask in masks)
    added = jax.tree.map(jnp.add, own[0], others[0])
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-2), added, whole[0])
    before, moved, all_moved = (np.asarray(state.raw.target) for state in (items, own[1], whole[1]))
    np.testing.assert_array_equal(moved[~seen], before[~seen])
    np.testing.assert_array_equal(moved[seen], all_moved[seen])
    assert (moved[seen] != before[seen]).any()


def test_a_sample_has_its_share_of_every_capacity_and_floors_as_they_are(begin: SampledStart) -> None:
    model, store = begin.model, begin.model.store
    given = np.asarray(store.resources.capacity)
    floors, finite = np.asarray(store.resources.is_service), np.isfinite(given)
    scaled = np.asarray(_share(model, begin.sample, store.start()).capacity)
    np.testing.assert_array_equal(scaled[:, floors], given[:, floors])
    share = (scaled / np.where(given > 0, given, 1))[:, ~floors][finite[:, ~floors]]
    assert (share > 0).all()
    assert (share < 1).all()
    # A third of the items, about.
    assert 0.15 < np.median(share) < 0.6
    # A sample of all is given everything.
    everything = np.asarray(_share(model, store, store.start()).capacity)
    np.testing.assert_allclose(everything[finite], given[finite], rtol=1e-6)


def test_others_follow_what_levels_of_their_size_came_to() -> None:
    # Two blocks of two items, one row; the second item of the second block is padding, the first two are large.
    levels = np.asarray([[[6.0, 2.0]], [[1.0, 50.0]]])
    newsvendor = np.asarray([[[3.0, 1.0]], [[2.0, 50.0]]])
    counted = np.asarray([[1.0, 1.0], [1.0, 0.0]])
    kinds = np.asarray([[22, 22], [15, 22]])
    counts = _by_class(counted, counted, kinds)
    assert (counts[22], counts[15], counts.sum()) == (2, 1, 3)
    found, priced = _by_class(levels, counted, kinds), _by_class(newsvendor, counted, kinds)
    np.testing.assert_allclose([found[22], priced[22], found[15], priced[15]], [[8.0], [4.0], [1.0], [2.0]])
    factors = _factors(found, priced, counts)
    # All together 1.5; of the large ones 2, of the small one 0.5, which lean towards that of all by five items.
    np.testing.assert_allclose(factors[22], [1.5 + 2 / 7 * 0.5])
    np.testing.assert_allclose(factors[15], [1.5 - 1 / 6])
    np.testing.assert_allclose(factors[3], [1.5])
    # With many items a class follows its own alone, within bounds; where newsvendor levels are nothing nothing changes.
    many = np.full(counts.shape, 1e9)
    np.testing.assert_allclose(_factors(1000 * found, priced, many)[22], [10.0])
    np.testing.assert_allclose(_factors(found, 0 * priced, many), 1.0)


def test_the_whole_starts_from_prices_and_levels_of_the_sample(begin: SampledStart) -> None:
    state = found_by_sample(begin, Silent())
    assert float(state.shared.dual.price.max()) > 0
    assert int(state.shared.step) == 0
    seen = begin.sample.sees(0)
    start, now = begin.model.store.start().raw.target, state.items.raw.target
    assert (np.asarray(now)[seen] != np.asarray(start)[seen]).any()
    assert (np.asarray(now)[~seen] != np.asarray(start)[~seen]).any()
    assert np.isfinite(np.asarray(now)).all()


def test_a_search_begins_with_a_sample_and_ends_with_all(folder: Path) -> None:
    cold = prepare(read_instance(folder), configuration(sample_items=0))
    assert sampled_start(cold) is None
    settled = configuration(max_steps=1, min_steps=1, sample_steps=60)
    first = search(prepare(read_instance(folder), settled))
    without = search(prepare(read_instance(folder), configuration(max_steps=1, min_steps=1, sample_items=0)))
    assert (first.steps, without.steps) == (1, 1)
    # After one step of all items capacities are far less exceeded than by the levels that know no prices.
    assert first.history[-1].violation < 0.7 * without.history[-1].violation


def test_no_sample_of_most_of_the_items_or_without_capacities(folder: Path) -> None:
    assert sampled_start(prepare(read_instance(folder), configuration(sample_items=30))) is None
    tables = read_instance(folder)
    free = replace(tables, resources=tables.resources.clear())
    assert sampled_start(prepare(free, configuration())) is None


def test_a_sample_that_is_told_to_stop_gives_no_plan(begin: SampledStart) -> None:
    class Stopping(Silent):
        def should_stop(self) -> bool:
            return True

    with pytest.raises(Preempted, match="no plan yet"):
        found_by_sample(begin, Stopping())


class StopsAfter(Silent):
    """The machine is taken away after some steps of all items; before the first: while the sample is searched."""

    def __init__(self, steps: int) -> None:
        self.left = steps

    def update(self, step: Step) -> None:
        self.left -= 1

    def should_stop(self) -> bool:
        return self.left <= 0

    def preempted(self) -> bool:
        return self.should_stop()


@pytest.mark.parametrize("steps", [0, 3])
def test_a_search_that_was_stopped_ends_as_if_it_had_not_been(folder: Path, tmp_path: Path, steps: int) -> None:
    def saved(name: str, progress: Silent, *, resume: bool = False) -> tuple[list[Step], dict[str, np.ndarray]]:
        model = prepare(read_instance(folder), configuration())
        write_basis(tmp_path / name, own_parts(model)[0], model)
        found = search_saved(model, tmp_path / name, {}, progress, resume=resume)
        layout = model.instance.layout
        return found.history, to_named(found.state, layout, layout.count)

    whole = saved("whole", Silent())
    with pytest.raises(Preempted, match="no plan yet" if steps == 0 else "after step 3"):
        saved("stopped", StopsAfter(steps))
    (history, found), (known, arrays) = saved("stopped", Silent(), resume=True), whole
    assert [step.cost for step in history] == [step.cost for step in known]
    assert found.keys() == arrays.keys()
    for name, array in arrays.items():
        np.testing.assert_array_equal(found[name], array, err_msg=name)


def test_parts_are_sampled_whole_and_the_others_take_over_theirs(folder: Path, tmp_path: Path) -> None:
    model = prepare_stream(FolderSource(folder, 11), configuration(), tmp_path / "scratch")
    begin = sampled_start(model)
    assert begin is not None
    assert begin.sample.seen == 11
    (number,) = begin.sample.numbers
    state = found_by_sample(begin, Silent())
    start = {part.number: np.asarray(part.items.raw.target) for part in model.store.each(model.store.start())}
    now = {part.number: np.asarray(part.items.raw.target) for part in model.store.each(state.items)}
    assert sorted(now) == [0, 1, 2, 3]
    assert number in now
    assert all((now[part] != start[part]).any() for part in now)
    again = search(begin.model, state)
    assert again.steps == 6
    assert np.isfinite(again.history[-1].cost)
