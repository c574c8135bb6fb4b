"""The items of an instance in blocks, and where their scenarios come from."""

import equinox as eqx
import jax
import jax.numpy as jnp
from jax.sharding import Mesh
from jaxtyping import Array, Float, Int, UInt32

from meio_jax.demand import AbstractDemand
from meio_jax.distributed.kept_programs import kept_jit
from meio_jax.distributed.sharding import over_items
from meio_jax.model.network import ItemBlock
from meio_jax.scenarios.leadtimes import LeadTimes
from meio_jax.scenarios.sampling import Scenarios, ScenarioSettings, sample_scenarios


class Catalog(eqx.Module):
    """All items, cut into blocks of one size: every leaf has a leading `blocks` axis except the share profiles.

    `scenarios` holds demand and lead times sampled beforehand, with a further axis `chunks` after the blocks, or is
    None where each sweep samples afresh from the same keys; both give the same numbers.
    """

    block: ItemBlock
    demand: AbstractDemand
    leads: LeadTimes
    keys: UInt32[Array, "blocks items 2"]
    profile: Int[Array, "blocks items"]
    profiles: Float[Array, "profiles waves speeds regions"]
    scenarios: Scenarios | None

    @property
    def blocks(self) -> int:
        return self.keys.shape[0]

    def per_block(self) -> tuple:
        """The leaves that a scan over blocks slices."""
        return (self.block, self.demand, self.leads, self.keys, self.profile, self.scenarios)


def draw(
    settings: ScenarioSettings,
    profiles: Float[Array, "profiles waves speeds regions"],
    one: tuple,
    scenario_ids: Int[Array, " scenarios"],
    purpose: UInt32[Array, ""] | int,
    chunk: Int[Array, ""] | int = 0,
) -> Scenarios:
    """Scenarios of one block (`one` is a slice of `Catalog.per_block`): sampled, or the stored ones of `chunk`."""
    _, demand, leads, keys, profile, stored = one
    if stored is not None:
        return jax.tree.map(lambda leaf: jax.lax.dynamic_index_in_dim(leaf, chunk, keepdims=False), stored)
    shares = jnp.moveaxis(profiles[profile], 0, -1)
    return sample_scenarios(settings, demand, shares, leads, keys, scenario_ids, purpose)


class _Drawer(eqx.Module):
    """Scenarios of blocks of items: a value, so that equal ones share one compiled program."""

    settings: ScenarioSettings
    chunks: int = eqx.field(static=True)
    size: int = eqx.field(static=True)
    purpose: int = eqx.field(static=True)

    def __call__(self, profiles: Array, leaves: tuple) -> tuple[tuple, Scenarios]:
        numbers = jnp.arange(self.chunks * self.size, dtype=jnp.int32).reshape(self.chunks, self.size)

        def one_block(_: None, one: tuple) -> tuple[None, Scenarios]:
            def one_chunk(_: None, ids: Array) -> tuple[None, Scenarios]:
                return None, draw(self.settings, profiles, one, ids, self.purpose)

            return jax.lax.scan(one_chunk, None, numbers)

        return (), jax.lax.scan(one_block, None, leaves)[1]


@kept_jit
def _draw_everywhere(drawer: _Drawer, mesh: Mesh | None, profiles: Array, leaves: tuple) -> tuple[tuple, Scenarios]:
    return over_items(drawer, mesh)(profiles, leaves)


def store_scenarios(
    settings: ScenarioSettings, catalog: Catalog, chunks: int, size: int, purpose: int, mesh: Mesh | None = None
) -> Catalog:
    """Sample `chunks` x `size` scenarios of every block once and keep them: faster sweeps for more memory."""
    drawer = _Drawer(settings, chunks, size, purpose)
    _, stored = _draw_everywhere(drawer, mesh, catalog.profiles, catalog.per_block())
    return eqx.tree_at(lambda c: c.scenarios, catalog, stored, is_leaf=lambda leaf: leaf is None)
