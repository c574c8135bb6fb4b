"""The US instance of real data (docs/us_network.md says what is real and what is assumed)."""

from meio_jax.generate.us.assemble import SIZES, Parts
from meio_jax.generate.us.build import build_us_instance
from meio_jax.generate.us.rates import Rates, fit_rates

__all__ = ["SIZES", "Parts", "Rates", "build_us_instance", "fit_rates"]
