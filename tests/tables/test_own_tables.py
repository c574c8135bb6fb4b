"""Tables of a run, which of a catalog in parts are folders."""

from pathlib import Path

import polars as pl
import pytest

from meio_jax.errors import InputError
from meio_jax.tables.own_files import own_table, read_own_table


def test_a_table_is_a_file_or_a_folder_of_parts(tmp_path: Path) -> None:
    rows = pl.DataFrame({"item_id": ["a", "b", "c"]})
    for number in range(3):
        place = tmp_path / "plan" / "targets" / f"part-{number:05d}.parquet"
        place.parent.mkdir(parents=True, exist_ok=True)
        rows[number : number + 1].write_parquet(place)
    rows.write_parquet(tmp_path / "prices.parquet")
    assert own_table(tmp_path, "plan/targets").equals(rows)
    assert own_table(tmp_path, "prices").equals(rows)
    assert read_own_table(tmp_path, "plan/shares") is None
    with pytest.raises(InputError, match="a table of a finished run"):
        own_table(tmp_path, "plan/orders")
