"""Why an item has the stock it has at a node."""

from meio_jax.items.explain import Change, Explanation, Place, explain, explain_run
from meio_jax.items.one_item import ItemOfRun, item_of_run

__all__ = ["Change", "Explanation", "ItemOfRun", "Place", "explain", "explain_run", "item_of_run"]
