"""Form (d): past sales, bootstrapped in blocks (Kunsch 1989)."""

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from meio_jax.demand.base import TOTAL, AbstractDemand, Draws, by_scenario


class HistoryDemand(AbstractDemand):
    """The horizon is pieced together from blocks of the item's own past; days before `valid_from` do not count.

    The last row of `history` is the day before the horizon. Blocks of whole weeks start on the weekday that they
    stand for, so the weekly pattern is kept.
    """

    history: Float[Array, "history_days items"]
    valid_from: Int[Array, " items"]
    block: int = eqx.field(static=True, default=7)

    def totals(self, draws: Draws, periods: int, samples: int) -> Float[Array, "periods batch"]:
        days = self.history.shape[0]
        blocks = -(-periods // self.block)
        step = 7 if self.block % 7 == 0 else 1
        item = jnp.arange(draws.scenario.shape[0]) // samples
        length = by_scenario(days - self.valid_from, samples)
        choices = jnp.maximum((length - self.block) // step + 1, 1)
        pick = jnp.floor(draws.uniform(TOTAL, blocks) * choices.astype(self.history.dtype)).astype(jnp.int32)
        # Counted back from the end, in steps of a week where blocks are weeks, so weekdays line up.
        start = days - self.block - pick * step
        day = jnp.repeat(start, self.block, axis=0)[:periods] + (jnp.arange(periods) % self.block)[:, None]
        first = by_scenario(self.valid_from, samples)
        # A history shorter than a block repeats itself.
        wrapped = first + (day - first) % jnp.maximum(length, 1)
        return self.history[jnp.clip(wrapped, 0, days - 1), item]

    def mean_total(self) -> Float[Array, " items"]:
        counted = jnp.arange(self.history.shape[0])[:, None] >= self.valid_from
        total = jnp.sum(jnp.where(counted, self.history, 0), axis=0)
        return total / jnp.maximum(jnp.sum(counted, axis=0), 1).astype(total.dtype)

    def whole(self) -> Bool[Array, " items"]:
        return jnp.all(self.history == jnp.round(self.history), axis=0)
