"""All preference rounds of one speed as one GPU kernel forward and one backward (Pallas, Triton).

The same function of the same arguments as `serve_rounds` in its sparse form, for devices on which launching a kernel
takes longer than what it does. A program instance has a tile of the batch, one column a thread: it goes through the
classes and nodes in turn, and no column needs another. What is open and what nodes are asked for stays in the rows of
the tile, which the cache of a multiprocessor holds; rounds in which nothing is open anywhere in the tile are skipped.

Going back, rounds run again. Of a round only two numbers by node are kept: the share of what is asked that is given,
and, where stock is scarce, one over what is asked. What was open before a round follows from what was wanted and the
shares of the rounds before it.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jax.experimental import pallas as pl
from jax.experimental.pallas import triton
from jaxtyping import Array, Float, Int

# Columns of a tile: with 4 warps one a thread, so that a thread reads back only what it wrote itself.
_TILE, _WARPS = 128, 4
_LEAST = 1e-12


class _Tile:
    """Rows of a tile by number: reading, writing, and which columns are in the batch."""

    def __init__(self, batch: int) -> None:
        self.inside = pl.program_id(0) * _TILE + jnp.arange(_TILE, dtype=jnp.int32) < batch

    def read(self, ref: Any, *row: Array | int) -> Array:
        return triton.load(ref.at[(*map(jnp.int32, row), slice(None))], mask=self.inside, other=0.0)

    def write(self, ref: Any, value: Array, *row: Array | int) -> None:
        triton.store(ref.at[(*map(jnp.int32, row), slice(None))], value, mask=self.inside)


def _each(count: int, act: Callable[[Array], None]) -> None:
    """Call with 0, 1, ... in turn."""
    jax.lax.fori_loop(0, count, lambda at, _: act(at), None)


def _ask(tile: _Tile, choice: Any, p: int, nodes: int, asked: Any, units: Callable[[Array], Array]) -> None:
    """Add to the row of each class's node what `units` tells of the class."""

    def clear(n: Array) -> None:
        tile.write(asked, jnp.zeros(_TILE, jnp.float32), n)

    def add(r: Array) -> None:
        n = choice[p, r]

        @pl.when(n < nodes)
        def _() -> None:
            tile.write(asked, tile.read(asked, n) + units(r), n)

    _each(nodes, clear)
    _each(choice.shape[1], add)


def _scarcity(asked: Array, available: Array) -> tuple[Array, Array]:
    """Share of what is asked that is given, and one over what is asked where it is more than there is (else 0)."""
    scarce = asked > jnp.maximum(available, _LEAST)
    inverse = jnp.where(scarce, 1 / jnp.where(scarce, asked, 1), 0)
    return jnp.where(scarce, available / jnp.where(scarce, asked, 1), 1), inverse


def _forward_kernel(batch, wanted, usable, choice, unit, kg, carbon, weight, left, stock, cost, emitted, ratio):
    rounds, regions = choice.shape
    nodes = usable.shape[0]
    tile = _Tile(batch)
    mass = tile.read(weight)
    copy = lambda source, target: lambda at: tile.write(target, tile.read(source, at), at)
    _each(regions, copy(wanted, left))
    _each(nodes, copy(usable, stock))
    zero = jnp.zeros(_TILE, jnp.float32)
    tile.write(cost, zero)
    tile.write(emitted, zero)

    def run(p: int) -> None:
        _ask(tile, choice, p, nodes, ratio, lambda r: tile.read(left, r))

        def give(n: Array) -> None:
            asked, available = tile.read(ratio, n), tile.read(stock, n)
            tile.write(stock, jnp.maximum(available - asked, 0), n)
            tile.write(ratio, _scarcity(asked, available)[0], n)

        def ship(r: Array, sums: tuple[Array, Array]) -> tuple[Array, Array]:
            n = choice[p, r]
            before = tile.read(left, r)
            shipped = jnp.where(n < nodes, before * tile.read(ratio, jnp.minimum(n, nodes - 1)), 0)
            tile.write(left, before - shipped, r)
            return sums[0] + (unit[p, r] + kg[p, r] * mass) * shipped, sums[1] + carbon[p, r] * shipped

        _each(nodes, give)
        money, weight_of_carbon = jax.lax.fori_loop(0, regions, ship, (zero, zero))
        tile.write(cost, tile.read(cost) + money)
        tile.write(emitted, tile.read(emitted) + weight_of_carbon)

    for p in range(rounds):
        is_open = jax.lax.fori_loop(0, regions, lambda r, most: jnp.maximum(most, tile.read(left, r)), zero)
        pl.when(jnp.max(is_open) > 0)(partial(run, p))


def _backward_kernel(
    batch, wanted, usable, choice, unit, kg, carbon, weight, open_bar, stock_bar, cost_bar, carbon_bar,
    wanted_bar, usable_bar, share, inverse, row,
):  # fmt: skip
    rounds, regions = choice.shape
    nodes = usable.shape[0]
    tile = _Tile(batch)
    mass, money_bar, emitted_bar = tile.read(weight), tile.read(cost_bar), tile.read(carbon_bar)
    copy = lambda source, target: lambda at: tile.write(target, tile.read(source, at), at)

    def before(p: int, r: Array) -> Array:
        """What a class has open before a round."""
        value = tile.read(wanted, r)
        for q in range(p):
            n = choice[q, r]
            value = value * jnp.where(n < nodes, 1 - tile.read(share, q, jnp.minimum(n, nodes - 1)), 1)
        return value

    # Once more forward; the rows of the stock derivative hold stock for as long.
    _each(nodes, copy(usable, usable_bar))
    for p in range(rounds):
        _ask(tile, choice, p, nodes, row, partial(before, p))

        def give(n: Array, p: int = p) -> None:
            asked, available = tile.read(row, n), tile.read(usable_bar, n)
            given, one_over = _scarcity(asked, available)
            tile.write(share, given, p, n)
            tile.write(inverse, one_over, p, n)
            tile.write(usable_bar, jnp.maximum(available - asked, 0), n)

        _each(nodes, give)
    _each(regions, copy(open_bar, wanted_bar))
    _each(nodes, copy(stock_bar, usable_bar))
    for p in reversed(range(rounds)):

        def shipped_bar(r: Array, p: int = p) -> Array:
            worth = (unit[p, r] + kg[p, r] * mass) * money_bar + carbon[p, r] * emitted_bar
            return worth - tile.read(wanted_bar, r)

        _ask(tile, choice, p, nodes, row, lambda r, p=p, bar=shipped_bar: before(p, r) * bar(r))

        def give_back(n: Array, p: int = p) -> None:
            one_over, stock = tile.read(inverse, p, n), tile.read(usable_bar, n)
            slope = jnp.where(one_over > 0, tile.read(row, n) * one_over, stock)
            tile.write(row, -slope * tile.read(share, p, n), n)
            tile.write(usable_bar, slope, n)

        def reach(r: Array, p: int = p, bar: Callable[[Array], Array] = shipped_bar) -> None:
            n = choice[p, r]
            at = jnp.minimum(n, nodes - 1)
            change = tile.read(share, p, at) * bar(r) + tile.read(row, at)
            tile.write(wanted_bar, tile.read(wanted_bar, r) + jnp.where(n < nodes, change, 0), r)

        _each(nodes, give_back)
        _each(regions, reach)


def _columns(*rows: int) -> pl.BlockSpec:
    """All rows of a tile of columns."""
    return pl.BlockSpec((*rows, _TILE), lambda tile: (*[0] * len(rows), tile))


def _table(*shape: int) -> pl.BlockSpec:
    """A table that all tiles read."""
    return pl.BlockSpec(shape, lambda tile: (0,) * len(shape))


def fused_forward(
    open_demand: Float[Array, "classes batch"],
    available: Float[Array, "nodes batch"],
    choice: Int[Array, "rounds classes"],
    cost_unit: Float[Array, "rounds classes"],
    cost_kg: Float[Array, "rounds classes"],
    carbon: Float[Array, "rounds classes"],
    weight: Float[Array, " batch"],
    *,
    interpret: bool = False,
) -> tuple[Float[Array, "classes batch"], Float[Array, "nodes batch"], Float[Array, " batch"], Float[Array, " batch"]]:
    """`serve_rounds` in single precision; `interpret` runs the kernel step by step where there is no GPU."""
    (regions, batch), nodes, rounds = open_demand.shape, available.shape[0], choice.shape[0]
    table = _table(rounds, regions)
    shape = lambda *rows: jax.ShapeDtypeStruct((*rows, batch), open_demand.dtype)
    call = pl.pallas_call(
        partial(_forward_kernel, batch),
        grid=(pl.cdiv(batch, _TILE),),
        in_specs=[_columns(regions), _columns(nodes), table, table, table, table, _columns()],
        out_specs=[_columns(regions), _columns(nodes), _columns(), _columns(), _columns(nodes)],
        out_shape=[shape(regions), shape(nodes), shape(), shape(), shape(nodes)],
        compiler_params=triton.CompilerParams(num_warps=_WARPS),
        interpret=interpret,
        name="serve_rounds",
    )
    return tuple(call(open_demand, available, choice, cost_unit, cost_kg, carbon, weight)[:4])


def fused_backward(
    kept: tuple[Array, ...], bars: tuple[Array, ...], *, interpret: bool = False
) -> tuple[Float[Array, "classes batch"], Float[Array, "nodes batch"]]:
    """Derivatives by demand and stock.

    Args:
        kept: The arguments of `fused_forward`.
        bars: Derivatives by its results.
        interpret: As of `fused_forward`.
    """
    open_demand, available, choice = kept[:3]
    (regions, batch), nodes, rounds = open_demand.shape, available.shape[0], choice.shape[0]
    table = _table(rounds, regions)
    shape = lambda *rows: jax.ShapeDtypeStruct((*rows, batch), open_demand.dtype)
    call = pl.pallas_call(
        partial(_backward_kernel, batch),
        grid=(pl.cdiv(batch, _TILE),),
        in_specs=[
            *[_columns(regions), _columns(nodes), table, table, table, table, _columns()],
            *[_columns(regions), _columns(nodes), _columns(), _columns()],
        ],
        out_specs=[
            *[_columns(regions), _columns(nodes), _columns(rounds, nodes), _columns(rounds, nodes), _columns(nodes)],
        ],
        out_shape=[shape(regions), shape(nodes), shape(rounds, nodes), shape(rounds, nodes), shape(nodes)],
        compiler_params=triton.CompilerParams(num_warps=_WARPS),
        interpret=interpret,
        name="serve_rounds_backward",
    )
    wanted_bar, usable_bar, *_ = call(*kept, *bars)
    return wanted_bar, usable_bar
