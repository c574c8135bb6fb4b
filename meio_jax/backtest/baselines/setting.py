"""What a planner without an optimiser knows: true demand moments, lead times, who is nearest to whom."""

from dataclasses import dataclass

import numpy as np

from meio_jax.backtest.lookup import frame
from meio_jax.backtest.network import World, read_world
from meio_jax.backtest.sales import Forecast, read_forecast


@dataclass(frozen=True)
class Setting:
    """Arrays that every baseline needs; I items, N nodes, D days, B buckets.

    `mean`, `variance` `[I, D]`: a day's total demand; `run [I]`: variance of a week's demand over the sum
    of its days' variances. `lead`, `lead_sd` `[I, N]`: of a node's own replenishment, days; `gap [N]`:
    review period. `supplied [I, N]`: the node may hold the item and somebody delivers it there.
    `shortage [I]`: money lost when a unit of demand is not served, net of what serving it would have cost.
    `region_square [I]`: sum of the squared shares of all regions.
    `route [N, N]` share of what column n gets that comes from row m (lanes). `morning`: nodes order before the day's
    sales, not after them.
    """

    world: World
    mean: np.ndarray
    variance: np.ndarray
    run: np.ndarray
    lead: np.ndarray
    lead_sd: np.ndarray
    gap: np.ndarray
    shortage: np.ndarray
    supplied: np.ndarray
    region_square: np.ndarray
    route: np.ndarray
    morning: bool

    @property
    def cover(self) -> np.ndarray:
        """Days `[I, N]` of demand from an order until what is ordered at the next review is there: of a morning's
        order the day's own sales are the first, of an evening's order those of the day after."""
        return np.maximum(self.lead + self.gap - 1 + self.morning, 1)

    @property
    def exposed(self) -> np.ndarray:
        """Days `[I, N]` of demand that a target meets, on average, before what was ordered with it is
        renewed."""
        return self.lead + (self.gap - 1) / 2 + self.morning

    def fractile(self, node: int, charge: np.ndarray | float = 0.0) -> np.ndarray:
        """Critical fractile `[I]` of a node: shortage cost against holding (and `charge`, money per unit
        and day) over the time until the next review; for backorders, the cost of a day's wait against a
        day's holding."""
        catalog = self.world.catalog
        hold = catalog.holding * self.world.sites.holding_factor[node] + charge
        lost = self.shortage / np.maximum(self.shortage + hold * self.gap[node], 1e-12)
        wait = catalog.backorder_cost / np.maximum(catalog.backorder_cost + hold, 1e-12)
        return np.clip(np.where(catalog.backorders, wait, lost), 1e-6, 0.9995)

    def window(self, cover: np.ndarray, bucket: int) -> tuple[np.ndarray, np.ndarray]:
        """Mean and variance of an item's total demand over the `cover [I, N]` days after an average day of
        the bucket (in the morning: from it on); after the horizon, demand goes on as in its last week."""
        days = self.mean.shape[1]
        size = self.world.bucket_periods
        last = np.arange(bucket * size, min((bucket + 1) * size, days))
        longest = days + int(np.ceil(cover.max(initial=0))) + 2
        mean, variance = (_cumulated(x, longest) for x in (self.mean, self.variance))
        total, spread = np.zeros(cover.shape), np.zeros(cover.shape)
        for day in last:
            first = day + (0 if self.morning else 1)
            total += _at(mean, first + cover) - mean[:, first][:, None]
            spread += _at(variance, first + cover) - variance[:, first][:, None]
        return total / len(last), spread / len(last) * self.run[:, None]

    def demand(
        self,
        cover: np.ndarray,
        part: np.ndarray,
        square: np.ndarray,
        bucket: int,
        sd: np.ndarray | None = None,
    ) -> tuple[np.ndarray, np.ndarray]:
        """Mean and variance of what a node must cover: its part of the demand of `cover` days, and the
        spread of its lead time.

        Args:
            cover: Days, `[I, N]` (or any number of columns).
            part: Probability that a unit of demand is the node's.
            square: Sum of the squared shares of its regions; a week's factors move an item's regions
                together.
            bucket: The bucket.
            sd: Standard deviation of the lead time; the nodes' own where it is not given.
        """
        total, spread = self.window(cover, bucket)
        mean, days = total * part, np.maximum(cover, 1e-9)
        thinned = part**2 * np.maximum(spread - total, -total) + mean
        other = np.maximum(self.region_square[:, None] - square, 0)
        tilt = (1 - part) ** 2 * square + part**2 * other
        # one factor per week: the mean of `cover` days keeps this share of its variance
        kept = np.where(days < 7, 1 - days / 21, 7 / days - 49 / (3 * days**2))
        shared = self.world.shared_factor_cv**2 * total**2 * kept * (part**2 + tilt)
        late = (mean / days * (self.lead_sd if sd is None else sd)) ** 2
        return mean, np.maximum(thinned + shared + late, 1e-9)


def _cumulated(values: np.ndarray, length: int) -> np.ndarray:
    tail = np.repeat(values[:, -7:].mean(1, keepdims=True), length - values.shape[1], axis=1)
    return np.concatenate([np.zeros((len(values), 1)), np.cumsum(np.concatenate([values, tail], 1), 1)], 1)


def _at(cumulated: np.ndarray, day: np.ndarray) -> np.ndarray:
    """Values between whole days by linear interpolation."""
    low = np.floor(day).astype(np.int64)
    first = np.take_along_axis(cumulated, low, 1)
    return first + (day - low) * (np.take_along_axis(cumulated, low + 1, 1) - first)


def read_setting(tables, *, morning: bool = False) -> Setting:
    """The setting of an instance; `morning`: nodes order before the day's sales."""
    world = read_world(tables)
    mean, variance, run = demand_moments(read_forecast(tables), world)
    supplied, weights = _sources(world)
    lead, sd = _leads(tables, world, weights)
    route = np.zeros((len(world.nodes), len(world.nodes)))
    route[world.supply.lane_from, world.supply.lane_to] = world.supply.lane_share
    gap = _order_gaps(world)
    shortage, squares = net_shortage(world), region_squares(world)
    return Setting(world, mean, variance, run, lead, sd, gap, shortage, supplied, squares, route, morning)


def _order_gaps(world: World) -> np.ndarray:
    """Mean days between the days on which a node can order from its most frequent source, `[nodes]`."""
    supply, usual = world.supply, world.sites.review_period.astype(float)
    if not supply.bought.shape[0]:
        return usual
    share = np.zeros(len(world.nodes))
    np.maximum.at(share, supply.offer_node, supply.bought.mean(0)[supply.offer_calendar, supply.offer_node])
    np.maximum.at(share, supply.lane_to, supply.asked.mean(0))
    return np.where(share > 0, 1 / np.where(share > 0, share, 1), usual)


def net_shortage(world: World) -> np.ndarray:
    """Cost of a lost sale less the purchase and the shipping that it saves, `[items]`; at least 5 % of it.

    It stands for the revenue and goodwill forgone, but a unit that is sold must be bought and sent.
    """
    supply, reach, split, catalog = world.supply, world.reach, world.split, world.catalog
    landed = np.full(len(world.items), np.inf)
    owner = np.repeat(np.arange(len(world.items)), np.diff(supply.offer_start))
    np.minimum.at(landed, owner, supply.offer_cost + supply.offer_freight)
    weight = float(np.median(catalog.weight))
    cheapest = np.zeros((2, len(reach.start) - 1))  # per unit, per kg
    for group in range(cheapest.shape[1]):
        entries = np.arange(reach.start[group], reach.start[group + 1])
        if len(entries):
            unit = reach.cost_unit[entries] + world.sites.handling[reach.node[entries]]
            best = int(np.argmin(unit + reach.cost_kg[entries] * weight))
            cheapest[:, group] = unit[best], reach.cost_kg[entries[best]]
    group = split.speed * reach.regions + split.region
    profile = np.repeat(np.arange(len(world.profiles)), np.diff(split.start))
    unit, kilo = (np.bincount(profile, split.share * x[group], len(world.profiles)) for x in cheapest)
    served = np.where(np.isfinite(landed), landed, 0) + unit[catalog.profile] + kilo[catalog.profile] * catalog.weight
    return np.maximum(catalog.lost_cost - served, 0.05 * catalog.lost_cost)


def region_squares(world: World) -> np.ndarray:
    """Sum of the squared shares of the regions `[items]`."""
    split = world.split
    table = np.zeros((len(world.profiles), len(world.regions)))
    np.add.at(table, (np.repeat(np.arange(len(table)), np.diff(split.start)), split.region), split.share)
    return (table**2).sum(1)[world.catalog.profile]


def demand_moments(forecast: Forecast, world: World) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Mean and variance of daily demand `[items, days]`, and the variance ratio of a week `[items]`."""
    items, days = len(world.items), world.periods
    ones = np.ones(items)
    if forecast.form == "mean":
        mean = forecast.value
        poisson = np.where(forecast.law == 0, mean, 0.0)
        spread = np.where(forecast.law == 3, 0.0, forecast.spread)
        return mean, poisson + spread * mean**2, ones
    if forecast.form == "quantiles":
        at = (np.arange(200) + 0.5) / 200
        values = forecast.series.reshape(items, days, -1)
        sample = _interpolate(values, forecast.levels, at)
        rho, lags = forecast.rho, np.arange(1, 7)
        return sample.mean(0), sample.var(0), ones * (1 + 2 * float(((1 - lags / 7) * rho**lags).sum()))
    mean, variance, run = np.zeros((items, days)), np.zeros((items, days)), ones.copy()
    for i in range(items):
        series = forecast.series[forecast.start[i] : forecast.start[i + 1]]
        if not len(series):
            continue
        if forecast.form == "paths":
            rows = series.reshape(-1, days)
            mean[i], variance[i] = rows.mean(0), rows.var(0)
        else:
            mean[i], variance[i] = series.mean(), series.var()
            rows = series[len(series) % 7 :].reshape(1, -1)
        weeks = rows[:, : rows.shape[1] // 7 * 7].reshape(len(rows), -1, 7).sum(2)
        level = weeks.mean(0, keepdims=True) if len(rows) > 3 else weeks.mean()
        daily = 7 * variance[i].mean()
        run[i] = np.clip(((weeks - level) ** 2).mean() / daily, 0.5, 4.0) if daily > 0 and weeks.size > 3 else 1.0
    return mean, variance, run


def _interpolate(values: np.ndarray, levels: np.ndarray, at: np.ndarray) -> np.ndarray:
    """Quantile functions `[items, days, levels]` at the probabilities `at`, linear, not below 0."""
    k = np.clip(np.searchsorted(levels, at) - 1, 0, len(levels) - 2)
    part = (at - levels[k]) / (levels[k + 1] - levels[k])
    return np.maximum(
        np.stack([values[..., j] + (values[..., j + 1] - values[..., j]) * f for j, f in zip(k, part, strict=True)]),
        0,
    )


def _sources(world: World) -> tuple[np.ndarray, tuple[np.ndarray, np.ndarray]]:
    """Supplied pairs `[items, nodes]`, and the weight of every offer and of every lane and item in its
    node's supply."""
    supply = world.supply
    shape = (len(world.items), len(world.nodes))
    owner = np.repeat(np.arange(shape[0]), np.diff(supply.offer_start))
    lanes = supply.open * supply.lane_share[None]
    count = np.zeros(shape)
    np.add.at(count, (owner, supply.offer_node), 1.0)
    total = np.zeros(shape)
    np.add.at(total, (owner, supply.offer_node), supply.offer_share)
    np.add.at(total.T, supply.lane_to, lanes.T)
    unshared = total[owner, supply.offer_node] <= 0
    offers = np.where(unshared, 1 / np.maximum(count[owner, supply.offer_node], 1), supply.offer_share)
    np.add.at(total, (owner[unshared], supply.offer_node[unshared]), offers[unshared])
    supplied = (total > 0) & world.stockable
    scale = np.where(total > 0, total, 1)
    return supplied, (offers / scale[owner, supply.offer_node], lanes / scale[:, supply.lane_to])


def _leads(tables, world: World, weights: tuple[np.ndarray, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation of the lead time of a node's mix of sources, `[items, nodes]` days."""
    supply = world.supply
    owner = np.repeat(np.arange(len(world.items)), np.diff(supply.offer_start))
    mean, sd = supply.offer_mean.copy(), np.where(supply.offer_law == 1, supply.offer_sd, 0.0)
    if frame(tables, "lead_times").height:
        weight = np.diff(np.concatenate([[0.0], supply.seen_weight]))
        seen = np.repeat(np.arange(len(supply.seen_start) - 1), np.diff(supply.seen_start))
        first = supply.seen_start[:-1][np.diff(supply.seen_start) > 0]
        weight[first] = supply.seen_weight[first]
        size = np.maximum(np.bincount(seen, weight, len(supply.seen_start) - 1), 1e-12)
        m1 = np.bincount(seen, weight * supply.seen_days, len(size)) / size
        m2 = np.bincount(seen, weight * supply.seen_days.astype(float) ** 2, len(size)) / size
        drawn = supply.offer_law == 2
        mean[drawn] = m1[supply.offer_vendor[drawn]]
        sd[drawn] = np.sqrt(np.maximum(m2 - m1**2, 0))[supply.offer_vendor[drawn]]
    one, two = (np.zeros((len(world.items), len(world.nodes))) for _ in range(2))
    np.add.at(one, (owner, supply.offer_node), weights[0] * mean)
    np.add.at(two, (owner, supply.offer_node), weights[0] * (mean**2 + sd**2))
    np.add.at(one.T, supply.lane_to, (weights[1] * supply.lane_mean).T)
    np.add.at(two.T, supply.lane_to, (weights[1] * (supply.lane_mean**2 + supply.lane_sd**2)).T)
    return one, np.sqrt(np.maximum(two - one**2, 0))
