"""The experiment's own modules are importable here; types are promoted, on which optax relies."""

import sys
from pathlib import Path

import jax
import pytest

sys.path.append(str(Path(__file__).parents[2] / "experiments"))


@pytest.fixture(autouse=True)
def _types_are_promoted():
    """Only the planner's own code promises strict types; its optimiser does not."""
    with jax.numpy_dtype_promotion("standard"):
        yield
