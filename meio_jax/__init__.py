"""meio-jax: what to buy, where to place it, and what each shared capacity is worth."""

from meio_jax.public import lookup as __getattr__
from meio_jax.public import names as __dir__

__all__ = ["__dir__", "__getattr__"]
