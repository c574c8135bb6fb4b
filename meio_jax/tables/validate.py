"""All checks that need more than one cell: keys, references, and what tables say together."""

from __future__ import annotations

from meio_jax.tables.check_assortment import check_assortment
from meio_jax.tables.check_backlog import check_backlog
from meio_jax.tables.check_calendar import check_calendar
from meio_jax.tables.check_forecast import check_forecast
from meio_jax.tables.check_ids import check_near_ids
from meio_jax.tables.check_items import check_items
from meio_jax.tables.check_keys import check_keys, check_references
from meio_jax.tables.check_meaning import check_meaning
from meio_jax.tables.check_network import check_network
from meio_jax.tables.check_orders import check_price_breaks, check_vendors
from meio_jax.tables.check_overrides import check_overrides
from meio_jax.tables.check_reach import check_reach
from meio_jax.tables.check_resources import check_resources
from meio_jax.tables.check_room import check_room
from meio_jax.tables.check_shelf_life import check_shelf_life
from meio_jax.tables.check_sizes import check_sizes
from meio_jax.tables.context import Context, Scope


def validate(context: Context) -> None:
    """Run every check that the scope calls for; problems go to `context.findings`."""
    check_keys(context)
    check_references(context)
    if context.scope is not Scope.BLOCK:
        check_network(context)
        check_resources(context)
        check_near_ids(context)
        check_calendar(context)
    check_reach(context)
    check_meaning(context)
    check_room(context)
    if context.scope is not Scope.NETWORK:
        check_items(context)
        check_sizes(context)
        check_price_breaks(context)
        check_vendors(context)
        check_assortment(context)
        check_backlog(context)
        check_shelf_life(context)
        check_overrides(context)
        check_forecast(context)
