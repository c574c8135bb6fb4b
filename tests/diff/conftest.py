"""The command, as the tests of the command line call it."""

import pytest
from small_runs import Command


@pytest.fixture
def meio(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    return Command(monkeypatch, capsys)
