"""`meio whatif` on a finished run."""

import json
import shutil
from pathlib import Path

import polars as pl
import pytest
from small_runs import Command, Finished

from meio_jax.whatif import whatif_run


def test_json_is_what_python_gives_and_follows_the_prices(meio: Command, finished: Finished) -> None:
    called = meio("whatif", finished.folder, "--resource", "outbound", "--capacity", "-10%", "--json")
    assert called.status == 0, called.err
    found = json.loads(called.out)
    assert found == whatif_run(finished.folder, "outbound", "-10%").as_dict()
    prices = pl.read_parquet(finished.folder / "prices.parquet").filter(resource_id="outbound").sort("bucket")
    days = [7, 14 - 7]
    expected = [p * 0.1 * c * d for p, c, d in zip(prices["price"], prices["capacity"], days, strict=True)]
    assert [bucket["change"] for bucket in found["buckets"]] == pytest.approx(expected)


@pytest.mark.slow
def test_a_re_solve_leaves_the_run_alone_and_says_what_it_found(meio: Command, finished: Finished) -> None:
    before = {path: path.stat().st_mtime_ns for path in sorted(finished.folder.rglob("*"))}
    words = ("--resource", "storage", "--capacity", "+20%", "--bucket", 1, "--resolve", "--steps", 2, "--quiet")
    called = meio("whatif", finished.folder, *words)
    assert called.status == 0, called.err
    for part in ("bucket 1", "solved again, 2 steps each", "foretold by prices before", "Largest violation"):
        assert part in called.out, part
    assert {path: path.stat().st_mtime_ns for path in sorted(finished.folder.rglob("*"))} == before


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("--resource", "storag", "--capacity", "+1"), "choose one of storage"),
        (("--resource", "storage", "--capacity", "ten"), "such as +10%"),
        (("--resource", "storage", "--capacity", "-1000"), "zero or more"),
        (("--resource", "storage", "--capacity", "+1", "--bucket", 9), "choose from 0, 1"),
    ],
)
def test_what_cannot_be_ends_with_status_2(meio: Command, finished: Finished, words: tuple, expected: str) -> None:
    called = meio("whatif", finished.folder, *words)
    assert called.status == 2
    assert expected in called.err
    assert called.out == ""


def test_a_run_that_has_not_ended_is_refused(meio: Command, finished: Finished, tmp_path: Path) -> None:
    run = tmp_path / "run"
    shutil.copytree(finished.folder, run)
    (run / "certificate.json").unlink()
    called = meio("whatif", run, "--resource", "storage", "--capacity", "+1")
    assert called.status == 2
    assert "a run that has not ended" in called.err
