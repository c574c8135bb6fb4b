"""The evening before period 0, in which nodes that order in the evening decide for the first time."""

import equinox as eqx
import jax
import jax.numpy as jnp

from meio_jax.model.network import ItemBlock, Network
from meio_jax.scenarios.sampling import Scenarios
from meio_jax.simulation.ageing import tomorrow
from meio_jax.simulation.constants import Constants
from meio_jax.simulation.decide import Bucket, Program, ahead, decide
from meio_jax.simulation.inputs import Inputs, Moment, first_row
from meio_jax.simulation.lives import day_before
from meio_jax.simulation.outlook import Flow, outlooks
from meio_jax.simulation.pipelines import send
from meio_jax.simulation.received import received_leads
from meio_jax.simulation.state import Pipelines, Stock
from meio_jax.simulation.supply import Ordered


def seen_from_evening(stock: Stock, pipelines: Pipelines) -> tuple[Stock, Pipelines]:
    """Stock and pipelines as they stand in the evening before.

    What arrives in the first morning is a period away, and what expires on the first day has a period more.
    """
    later = lambda leaf: jnp.concatenate([jnp.zeros_like(leaf[:, :1]), leaf[:, :-1]], axis=1)
    due = Pipelines(later(pipelines.vendor), later(pipelines.lane))
    if stock.old is None or pipelines.old is None:
        return stock, due
    under_way = jax.vmap(later)(day_before(pipelines.old))
    stock = Stock(stock.on_hand, stock.on_order, stock.backlog, day_before(stock.old))
    return stock, Pipelines(due.vendor, due.lane, under_way)


def evening_before(
    program: Program, constants: Constants, bucket: Bucket, state: tuple[Stock, Pipelines], inputs: Inputs
) -> tuple[Stock, Pipelines, Ordered]:
    """The decision of the evening before period 0, on the state that the plan is given.

    `inputs` are those of period 0: its review days and lead times hold for this evening as well.
    """
    stock, pipelines = seen_from_evening(*state)
    near = ahead(program.network, constants, pipelines)
    stock, bought = decide(program, constants, bucket, stock, near, inputs.moment)
    pipelines = send(program.network, pipelines, bought, inputs.vendor_lead, inputs.lane_lead)
    return tomorrow(stock), pipelines, bought


def evening_inputs(
    network: Network, block: ItemBlock, scenarios: Scenarios, flow: Flow | None, first_day: Inputs
) -> Inputs:
    """What the decision of that evening knows.

    Args:
        network: The shared network.
        block: The items.
        scenarios: Sampled demand and lead times.
        flow: Of the block, for a policy that looks ahead; else None.
        first_day: What period 0 knows: its review days and lead times hold for the evening as well.
    """
    inputs = eqx.tree_at(lambda i: i.moment.days, first_day, first_day.moment.days.evening_before())
    if network.calendar is not None:
        leads = received_leads(network, scenarios, before=True)
        inputs = eqx.tree_at(lambda i: (i.vendor_lead, i.lane_lead), inputs, first_row(leads))
    if flow is not None:
        before = first_row(outlooks(network, block, flow, before=True))
        moment = Moment(inputs.moment.days, inputs.moment.mean_demand, before)
        moment = moment.spread_over(scenarios.demand.shape[-1] // block.items)
        inputs = eqx.tree_at(lambda i: i.moment, inputs, moment)
    return inputs
