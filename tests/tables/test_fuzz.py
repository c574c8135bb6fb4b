"""Three hundred mutations of every table, of the settings and of a configuration, and two hundred of the tables that a
retailer adds: none ends but in a message.

The experiment `experiments/fuzz.py` makes thousands, and solves some of those that are accepted.
"""

from __future__ import annotations

import sys
from collections import Counter
from pathlib import Path

import pytest
from marks import some_slow

sys.path.append(str(Path(__file__).parents[2] / "experiments"))

from fuzz import FORMS, make_bases, mutate
from fuzz_parts.judge import BAD, judge_folder, rows_of

SEED = 0
# A third of them in every run of the tests, all in the daily one.
QUICK, OTHERS = range(100), range(100, 300)


@pytest.mark.parametrize("numbers", some_slow([QUICK, OTHERS], quick=[QUICK]), ids=["quick", "others"])
def test_no_mutation_ends_in_a_traceback_or_in_a_table_left_out(tmp_path: Path, numbers: range) -> None:
    bases = make_bases(tmp_path)
    for form in FORMS:
        verdict, _ = judge_folder(bases[form].folder, rows_of(bases[form].frames))
        assert verdict.outcome == "accepted", verdict
    counts: Counter[str] = Counter()
    for number in numbers:
        family, done, verdict, _ = mutate(number, SEED, bases, tmp_path)
        assert verdict.outcome not in BAD, f"{number}, {family}: {done}\n{verdict.outcome}: {verdict.said}"
        counts[verdict.outcome] += 1
    # Both happen often: neither everything is refused nor everything let in.
    assert min(counts["refused"], counts["accepted"]) > len(numbers) / 10, counts


@pytest.mark.slow
def test_tables_that_a_retailer_adds_are_as_strict(tmp_path: Path) -> None:
    bases = make_bases(tmp_path, ("everyday",))
    base = bases["everyday"]
    verdict, tables = judge_folder(base.folder, rows_of(base.frames))
    assert verdict.outcome == "accepted", verdict
    assert tables is not None
    assert all(tables.frames()[name].height for name in base.damaged)
    counts: Counter[str] = Counter()
    for number in range(200):
        family, done, verdict, _ = mutate(number, SEED, bases, tmp_path)
        assert verdict.outcome not in BAD, f"{number}, {family}: {done}\n{verdict.outcome}: {verdict.said}"
        counts[verdict.outcome] += 1
    assert min(counts["refused"], counts["accepted"]) > 20, counts


def test_a_mutation_is_made_from_its_number_alone(tmp_path: Path) -> None:
    bases = make_bases(tmp_path)
    once = [mutate(number, SEED, bases, tmp_path)[:3] for number in (7, 8, 9)]
    again = [mutate(number, SEED, bases, tmp_path)[:3] for number in (9, 8, 7)]
    assert once == again[::-1]
