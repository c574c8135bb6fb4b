"""A run folder with usual names, its report, and a browser to look at it."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from browser import CHROMIUM, Browser
from made_runs import make_run

from meio_jax.report import write_report


@pytest.fixture(scope="session")
def plain_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_run(tmp_path_factory.mktemp("plain"))


@pytest.fixture(scope="session")
def plain_report(plain_run: Path) -> Path:
    return write_report(plain_run)


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    if CHROMIUM is None:
        pytest.skip("no Chromium on this machine")
    one = Browser()
    yield one
    one.close()
