"""Items of a step by the memory of its device, and blocks of groups that differ in size."""

import pytest
from tiny import tiny_tables

from meio_jax.config import make_config
from meio_jax.instance.blocks import blocks_needed, evened, in_equal_sets
from meio_jax.planner.block_size import TOGETHER, Device, block_items, blocks_together, column_bytes, items_per_block
from meio_jax.tables import Tables

GIB = 2**30


@pytest.fixture(scope="module")
def tables() -> Tables:
    return tiny_tables()


def test_on_a_gpu_items_follow_its_memory(tables: Tables) -> None:
    config = make_config()
    small, large = (items_per_block(tables, config, 16, Device("gpu", size * GIB)) for size in (20, 80))
    assert large == pytest.approx(4 * small, rel=1e-3)
    # What is simulated at once keeps within half of the memory, and does not leave most of that free.
    kept = large * TOGETHER * 16 * column_bytes(tables, config)
    assert 0.45 * 80 * GIB < kept <= 0.5 * 80 * GIB


def test_on_a_cpu_items_follow_the_cache_whatever_memory_there_is(tables: Tables) -> None:
    found = items_per_block(tables, make_config(), 16, Device("cpu", 80 * GIB))
    assert found == block_items(tables.nodes.height, 16)
    assert blocks_together(Device("cpu")) == 1


def test_what_the_configuration_says_holds_on_every_device(tables: Tables) -> None:
    config = make_config(solve={"block_items": 7})
    assert [items_per_block(tables, config, 16, Device(kind, GIB)) for kind in ("cpu", "gpu")] == [7, 7]


def test_a_device_that_does_not_tell_its_memory_gets_blocks_all_the_same(tables: Tables) -> None:
    assert items_per_block(tables, make_config(), 16, Device("gpu")) >= 1


@pytest.mark.parametrize(
    ("blocks", "devices", "together", "expected"),
    [(5, 1, 1, 5), (5, 2, 1, 6), (5, 1, 16, 5), (17, 1, 16, 18), (33, 2, 16, 36), (250, 1, 16, 256)],
)
def test_blocks_come_in_equal_sets(blocks: int, devices: int, together: int, expected: int) -> None:
    found = in_equal_sets(blocks, devices, together)
    assert found == expected
    each = found // devices
    assert found % devices == 0
    assert any(each % size == 0 and each // size == -(-each // together) for size in range(1, together + 1))


@pytest.mark.parametrize(("sizes", "most", "together"), [([100, 7, 3], 100, 16), ([40, 40, 40], 16, 4), ([9], 4, 2)])
def test_groups_of_different_sizes_are_padded_little(sizes: list[int], most: int, together: int) -> None:
    found = evened([sizes, sizes[:1]], most, together)
    sets = lambda size: -(-blocks_needed(sizes, size) // together)
    assert found <= most
    assert sets(found) == sets(most)
    assert found == 1 or sets(found - 1) > sets(most)
