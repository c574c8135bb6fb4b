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
) -> Scenarios:
    """Scenarios of one block (`one` is a slice of `Catalog.per_block`): sampled, or read from the stored ones.

    Numbers that are read follow on each other, and are all of one chunk.
    """
    _, demand, leads, keys, profile, stored = one
    if stored is not None:
        return _read(stored, keys.shape[0], scenario_ids)
    shares = jnp.moveaxis(profiles[profile], 0, -1)
    return sample_scenarios(settings, demand, shares, leads, keys, scenario_ids, purpose)


def _read(stored: Scenarios, items: int, scenario_ids: Int[Array, " scenarios"]) -> Scenarios:
    """Some of the stored scenarios of a block; leaves `[chunks, ..., items x scenarios of a chunk]`."""
    held, wanted = stored.demand.shape[-1] // items, scenario_ids.shape[0]
    chunk, first = scenario_ids[0] // held, scenario_ids[0] % held

    def one(leaf: Array) -> Array:
        whole = jax.lax.dynamic_index_in_dim(leaf, chunk, keepdims=False)
        # Lead times that are the same in all scenarios have no batch axis.
        if wanted == held or whole.shape[-1] != items * held:
            return whole
        by_item = whole.reshape(*whole.shape[:-1], items, held)
        return jax.lax.dynamic_slice_in_dim(by_item, first, wanted, axis=-1).reshape(*whole.shape[:-1], -1)

    return jax.tree.map(one, stored)


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
