"""Searches run here: optax relies on promotion of types."""

import jax
import pytest


@pytest.fixture(autouse=True, scope="module")
def _types_are_promoted():
    """Only the planner's own code promises strict types; its optimiser does not."""
    with jax.numpy_dtype_promotion("standard"):
        yield
