"""Which cases of a test are left for the daily run."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest


def some_slow(cases: Iterable[Any], quick: Iterable[Any]) -> list[Any]:
    """The cases of a test, of which all but the quick ones are marked slow."""
    often = list(quick)
    return [case if case in often else pytest.param(*_values(case), marks=pytest.mark.slow) for case in cases]


def _values(case: Any) -> tuple[Any, ...]:
    return case if isinstance(case, tuple) else (case,)
