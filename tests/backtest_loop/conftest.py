"""Solves run as users have them: the optimiser library needs the usual promotion of types."""

from collections.abc import Iterator

import jax
import pytest


@pytest.fixture(scope="module", autouse=True)
def _usual_promotion() -> Iterator[None]:
    with jax.numpy_dtype_promotion("standard"):
        yield
