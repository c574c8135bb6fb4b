"""Form (d): past sales, bootstrapped in blocks (Kunsch 1989)."""

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from meio_jax.demand.base import TOTAL, AbstractDemand, Draws, by_scenario, squared_spread


class HistoryDemand(AbstractDemand):
    """The horizon is pieced together of blocks of the item's own past; days before `valid_from` do not count.

    The last row of `history` is the period before the horizon. Blocks of whole cycles (7 days; 1 where periods are
    weeks or months) start on the weekday that they stand for, so the weekly pattern is kept. A history
    shorter than a block is repeated backwards from its end.
    """

    history: Float[Array, "*blocks history_days items"]
    valid_from: Int[Array, "*blocks items"]
    block: int = eqx.field(static=True, default=7)
    cycle: int = eqx.field(static=True, default=7)

    def totals(self, draws: Draws, periods: int, samples: int) -> Float[Array, "periods batch"]:
        days = self.history.shape[0]
        step = self.cycle if self.block % self.cycle == 0 else 1
        item = jnp.arange(draws.scenario.shape[0], dtype=jnp.int32) // samples
        length = jnp.maximum(by_scenario(days - self.valid_from, samples), 1)
        choices = jnp.maximum((length - self.block) // step + 1, 1)

        def block(number: Array) -> Array:
            uniform = draws.uniform(TOTAL, 1, number)[0]
            pick = jnp.floor(uniform * choices.astype(uniform.dtype)).astype(jnp.int32)
            # Counted back from the end (1: the last day), in steps of a week where blocks are weeks, so that
            # weekdays line up. Whole lengths of a short history are left out.
            start = self.block + jnp.minimum(pick, choices - 1) * step
            back = start[None] - jnp.arange(self.block, dtype=start.dtype)[:, None]
            return self.history[days - 1 - (back - 1) % length[None], item[None]]

        drawn = jax.lax.map(block, jnp.arange(-(-periods // self.block)))
        return drawn.reshape(-1, drawn.shape[-1])[:periods]

    def mean_total(self) -> Float[Array, " items"]:
        return self._mean_of(self.history)

    def variance_terms(self) -> Float[Array, "2 items"]:
        mean = self.mean_total()
        return squared_spread(mean[None], self._mean_of((self.history - mean) ** 2)[None])

    def _mean_of(self, table: Float[Array, "history_days items"]) -> Float[Array, " items"]:
        """Mean of a table over the days that count."""
        day = jnp.arange(table.shape[0], dtype=self.valid_from.dtype)
        counted = day[:, None] >= self.valid_from[None]
        total = jnp.sum(jnp.where(counted, table, 0), axis=0)
        return total / jnp.maximum(jnp.sum(counted, axis=0), 1).astype(total.dtype)

    def period_means(self, periods: int) -> Float[Array, "periods items"]:
        return jnp.broadcast_to(self.mean_total(), (periods, self.history.shape[1]))

    def whole(self) -> Bool[Array, " items"]:
        return jnp.all(self.history == jnp.round(self.history), axis=0)
