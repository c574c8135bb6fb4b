"""The index of faults names tests that are there."""

import re
from pathlib import Path

TESTS = Path(__file__).parents[1]
ROW = re.compile(r"^\| (\d+)\. .* \| (.*) \|$", re.MULTILINE)
FILE = re.compile(r"`([a-z_]+/test_[a-z_]+\.py)`: ((?:`test_\w+`(?:, )?)+)")


def test_every_test_of_the_index_is_there() -> None:
    rows = ROW.findall((TESTS / "faults.md").read_text(encoding="utf-8"))
    assert [int(number) for number, _ in rows] == list(range(1, 23))
    for _, named in rows:
        files = FILE.findall(named)
        assert files
        assert sum(tests.count("`test_") for _, tests in files) == named.count("`test_")
        for file, tests in files:
            code = (TESTS / file).read_text(encoding="utf-8")
            for name in re.findall(r"`(test_\w+)`", tests):
                assert f"def {name}(" in code, (file, name)
