"""The projection against its definition: the nearest point of the set."""

import jax.numpy as jnp
import numpy as np
from helpers import close
from meio_kernels.projection import nonnegative


def test_nonnegative_keeps_and_clips() -> None:
    close(nonnegative(jnp.asarray([-1.0, 0.0, 2.0])), np.asarray([0.0, 0.0, 2.0]), tolerance=0)
