"""Risk of the total cost: what all items together cost in a scenario, and not each of them alone."""

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

MEASURES = ("cvar", "entropic")


class TotalRisk(eqx.Module):
    """`(1 - weight) x mean + weight x risk` of the total cost over scenarios.

    `cvar` is the mean of the worst `1 - level` of scenarios (Rockafellar and Uryasev 2000), `entropic`
    log(mean(exp(aversion x cost))) / aversion, with an aversion per unit of the mean total cost. Both are maxima of
    weighted means; the weights at the maximum are the derivative by the costs of the scenarios.
    """

    measure: str = eqx.field(static=True, default="cvar")
    level: float = eqx.field(static=True, default=0.9)
    aversion: float = eqx.field(static=True, default=1.0)
    weight: float = eqx.field(static=True, default=1.0)

    def weights(
        self, apart: Float[Array, " kept"], known: Bool[Array, " kept"], mean: Float[Array, ""]
    ) -> Float[Array, " kept"]:
        """Weight of each scenario, of mean 1 over those that are known and 0 elsewhere, the mean's part included.

        Args:
            apart: Cost of each scenario above the mean.
            known: Which scenarios count.
            mean: Mean cost.
        """
        found = self._tail(apart, known) if self.measure == "cvar" else self._tilted(apart, known, mean)
        return self._blended(found, known)

    def above_mean(
        self, apart: Float[Array, " kept"], known: Bool[Array, " kept"], mean: Float[Array, ""]
    ) -> Float[Array, ""]:
        """By how much the blend of mean and risk exceeds the mean; arguments as of `weights`."""
        if self.measure == "cvar":
            weights = self._blended(self._tail(apart, known), known)
            return jnp.sum(weights * jnp.where(known, apart, 0)) / _count(known, apart)
        rate = self._rate(mean)
        exponent = jnp.where(known, rate * apart, -jnp.inf)
        return self.weight * (jax.nn.logsumexp(exponent) - jnp.log(_count(known, apart))) / rate

    def _blended(self, weights: Array, known: Array) -> Array:
        return jnp.where(known, 1 - self.weight + self.weight * weights, 0)

    def _tail(self, apart: Array, known: Array) -> Array:
        """1 over the share of the tail in it, 0 outside; the scenario at its end counts in part."""
        worst_first = jnp.argsort(jnp.argsort(jnp.where(known, -apart, jnp.inf)))
        tail = (1 - self.level) * _count(known, apart)
        return jnp.clip(tail - worst_first.astype(apart.dtype), 0, 1) / (1 - self.level)

    def _tilted(self, apart: Array, known: Array, mean: Array) -> Array:
        exponent = jnp.where(known, self._rate(mean) * apart, -jnp.inf)
        return jnp.exp(exponent - jax.nn.logsumexp(exponent)) * _count(known, apart)

    def _rate(self, mean: Array) -> Array:
        """Aversion per unit of money."""
        return self.aversion / jnp.maximum(jnp.abs(mean), 1e-6)


def _count(known: Array, like: Array) -> Array:
    """How many are known, as a number of the type of an array."""
    return jnp.sum(known).astype(like.dtype)
