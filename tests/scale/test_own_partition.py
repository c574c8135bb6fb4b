"""Each process, and each part of a streamed catalog, reads its own files only."""

import shutil
from pathlib import Path

import jax
import polars as pl
import pytest
from launch import OPTIONS, instance_in

from meio_jax.config import make_config
from meio_jax.distributed import processes
from meio_jax.distributed.processes import own_range
from meio_jax.errors import InputError
from meio_jax.instance.item_sources import FolderSource
from meio_jax.runs import run
from meio_jax.runs.resume import table_digests
from meio_jax.tables import ITEM_TABLES, count_item_rows, read_instance, scan_item_ids

PARTS = 4


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return instance_in(tmp_path_factory.mktemp("partitions"))


@pytest.fixture
def first_half(whole: Path, tmp_path: Path) -> Path:
    """The instance with nothing but zeros where the second half of the items was; what files say of it is left."""
    folder = tmp_path / "half"
    shutil.copytree(whole, folder)
    # What an instance need not have is not generated.
    for name in set(ITEM_TABLES) - {"assortment", "backlog", "overrides", "planned_orders", "expiries", "price_breaks"}:
        parts = sorted((folder / name).glob("*.parquet"))
        assert len(parts) == PARTS
        for part in parts[PARTS // 2 :]:
            content = part.read_bytes()
            footer = int.from_bytes(content[-8:-4], "little") + 8
            part.write_bytes(content[:4] + bytes(len(content) - footer - 4) + content[-footer:])
    return folder


def as_process(monkeypatch: pytest.MonkeyPatch, index: int) -> None:
    monkeypatch.setattr(jax, "process_count", lambda: 2)
    monkeypatch.setattr(jax, "process_index", lambda: index)
    monkeypatch.setattr(processes, "gather", lambda own: [own])


def test_a_process_reads_its_own_items_only(whole: Path, first_half: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    everything = read_instance(whole)
    as_process(monkeypatch, 0)
    tables, _ = run.load_tables(make_config(instance={"path": str(first_half)}))
    own = everything.items["item_id"].to_list()[: OPTIONS.items // 2]
    for name in ITEM_TABLES:
        frame, all_rows = tables.frames()[name], everything.frames()[name]
        assert frame.equals(all_rows.filter(pl.col("item_id").is_in(own))), name
    as_process(monkeypatch, 1)
    with pytest.raises(InputError):
        run.load_tables(make_config(instance={"path": str(first_half)}))


def test_a_part_of_a_streamed_catalog_reads_its_own_items_only(first_half: Path) -> None:
    source = FolderSource(first_half, OPTIONS.partition_items)
    assert source.parts == PARTS
    assert source.tables(1).items.height == OPTIONS.partition_items
    with pytest.raises(InputError):
        source.tables(2)


def test_ids_of_a_range_are_those_of_the_whole(whole: Path) -> None:
    ids = scan_item_ids(whole).to_list()
    assert count_item_rows(whole) == len(ids) == OPTIONS.items
    for first, count in ((0, 5), (9, 14), (40, 100), (44, 1)):
        assert scan_item_ids(whole, first, count).to_list() == ids[first : first + count]


def test_every_item_has_one_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jax, "process_count", lambda: 3)
    ranges = []
    for index in range(3):
        monkeypatch.setattr(jax, "process_index", lambda index=index: index)
        own = own_range(11)
        ranges += own
        assert len(own) in (3, 4)
        with pytest.raises(InputError, match="start fewer processes"):
            own_range(2)
    assert ranges == list(range(11))


def test_processes_share_the_reading_for_the_digests(whole: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    alone = table_digests(whole)
    read: list[dict] = []

    def note(own: dict) -> list[dict]:
        read.append(own)
        return [own]

    for index in range(2):
        as_process(monkeypatch, index)
        with pytest.raises(KeyError):
            table_digests(whole, gather=note)
    assert not set(read[0]) & set(read[1])
    assert [len([name for name in one if name.startswith("forecast:")]) for one in read] == [PARTS // 2] * 2
    as_process(monkeypatch, 0)
    assert table_digests(whole, gather=lambda own: read) == alone
    (whole / "forecast" / "more.parquet").write_bytes(b"x")
    as_process(monkeypatch, 0)
    monkeypatch.setattr(jax, "process_count", lambda: 1)
    assert table_digests(whole)["forecast"] != alone["forecast"]
    (whole / "forecast" / "more.parquet").unlink()
