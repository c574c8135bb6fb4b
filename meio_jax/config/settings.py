"""The configuration of a run: a nested, frozen value; an unknown key is an error.

A file may name a `base` file; its own keys override those of the base, level by level.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal, get_args
from urllib.parse import urlsplit

import yaml
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    ValidationError,
    field_validator,
    model_validator,
)

from meio_jax.config.corrections import correction_of, packaged_correction
from meio_jax.dual import DUAL_METHODS
from meio_jax.errors import InputError, Note, Problem, visible
from meio_jax.generate import GenerateOptions
from meio_jax.model.correction import Correction
from meio_jax.objective import OBJECTIVES
from meio_jax.policy import POLICIES
from meio_jax.tables.plain_yaml import as_text, parse_yaml, read_small

MOST = 10**9
"""Upper bound of every count: beyond it lies what integers of devices hold."""


def _plain(value: Path) -> Path:
    if visible(str(value)) != str(value):
        raise ValueError("a path without control characters or invisible ones")
    return value


SafePath = Annotated[Path, AfterValidator(_plain)]

# Given as the path of a file; kept whole, so that a run does not depend on the file.
NetworkFile = Annotated[
    Correction,
    BeforeValidator(correction_of),
    PlainSerializer(lambda found: None if found is None else found.as_dict(), return_type=dict | None),
]

WITH_NETWORK = "neural"
"""The policy that takes a network."""


def _member_of(family: dict[str, type]) -> AfterValidator:
    """A name must be that of a member of the family."""

    def known(value: str) -> str:
        if value not in family:
            raise ValueError(f"unknown name {value!r}; choose one of {', '.join(sorted(family))}")
        return value

    return AfterValidator(known)


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class UsOptions(_Part):
    """The US instance of real data (see docs/us_network.md)."""

    data: SafePath = Field(description="folder of the real data")
    size: Literal["small", "full"] = Field(default="small", description="how much of the data is used")
    seed: int = Field(
        default=0, ge=0, lt=2**63, description="seed of what is drawn: items, sizes, vendors, starting stock"
    )
    form: Literal["history", "mean"] | None = Field(
        default=None, description="form of the forecast; empty: small has history, full has mean"
    )
    periods: int = Field(default=42, ge=7, le=3660, description="horizon, days")
    tightness: float = Field(default=1.0, gt=0, le=1e6, description="factor on all capacities but service floors")


class InstancePart(_Part):
    """Where the instance is; `generate` makes it first if the folder does not exist."""

    path: SafePath = Field(description="folder of the instance, relative to the working directory")
    generate: GenerateOptions | None = Field(default=None, description="options of a synthetic instance")
    us: UsOptions | None = Field(default=None, description="options of the real-data US instance")
    hint: str | None = Field(default=None, description="what to tell a user whose folder is missing")


class ScenarioPart(_Part):
    """How many scenarios are drawn for each item, and how much memory stored ones may take."""

    train: int = Field(default=4096, ge=1, le=MOST, description="scenarios per item that the plan is optimised on")
    per_step: int = Field(default=16, ge=1, le=MOST, description="scenarios of a step; steps take them in turn")
    early: int | None = Field(
        default=None,
        ge=1,
        le=MOST,
        description="scenarios of a step while a search from nothing is far from its tolerances; empty: all",
    )
    holdout: int = Field(default=1024, ge=2, le=MOST, description="scenarios per item that the plan is judged on")
    clairvoyant: int = Field(
        default=4, ge=0, le=MOST, description="scenarios per item for the clairvoyant bound; 0: none"
    )
    unit_values: int = Field(
        default=32,
        ge=0,
        le=MOST,
        description="holdout scenarios for the value of units in stock (`plan/unit_values`); 0: none",
    )
    store_gib: float = Field(default=2.0, ge=0, le=1e6, description="keep training scenarios in memory up to this size")


class Choice(_Part):
    """A member of a family by its registry name, with its options."""

    name: str
    options: dict[str, Any] = Field(default_factory=dict, description="options of that member, by name")


class PolicyPart(_Part):
    """Which parameters are decided."""

    model_config = ConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=True)

    name: Annotated[str, _member_of(POLICIES)] = Field(default="base_stock", description="name of a policy")
    protection: bool = Field(default=False, description="decide protection levels as well")
    stationary: bool | None = Field(default=None, description="one target for all buckets; empty: as the instance says")
    correction: NetworkFile | None = Field(
        default=None,
        description="file of the network of the policy `neural`, relative to the working directory; empty: the one "
        "that comes with the package. The run folder keeps it whole",
    )

    @model_validator(mode="before")
    @classmethod
    def _networked(cls, given: Any) -> Any:
        """The network of the package where none is named, and none where none is used."""
        if not isinstance(given, dict) or given.get("name") != WITH_NETWORK:
            if isinstance(given, dict) and given.get("correction") is not None:
                raise ValueError(f"no `correction`, or the policy `{WITH_NETWORK}`, which alone has a network")
            return given
        return given if given.get("correction") is not None else {**given, "correction": packaged_correction()}


class ObjectivePart(Choice):
    """What is minimised."""

    name: Annotated[str, _member_of(OBJECTIVES)] = Field(default="expected_cost", description="name of an objective")


class RiskPart(_Part):
    """Risk of the total cost of all items, over the scenarios that they share (docs/objectives.md)."""

    measure: Literal["none", "cvar", "entropic"] = Field(
        default="none",
        description="`none`: costs of items are added up; `cvar`: mean of the worst scenarios of the total; "
        "`entropic`: its certainty equivalent under exponential utility",
    )
    level: float = Field(default=0.9, ge=0, lt=1, description="cvar: share of the scenarios that are not the worst")
    aversion: float = Field(
        default=1.0, gt=0, le=1e3, description="entropic: aversion, per unit of the mean total cost"
    )
    weight: float = Field(default=1.0, ge=0, le=1, description="weight of the risk; the rest is that of the mean")


class DualPart(Choice):
    """How prices are found."""

    name: Annotated[str, _member_of(DUAL_METHODS)] = Field(default="augmented", description="name of a dual method")


class FulfilmentPart(_Part):
    """Preference lists of the simulated fulfilment."""

    rounds: int = Field(default=4, ge=1, le=1000, description="nodes that a demand class asks in turn")
    tiers: int = Field(
        default=1,
        ge=1,
        le=1000,
        description="turns in which classes ask, those that have most to lose first; 1: all together",
    )
    weight_bands: int = Field(default=3, ge=1, le=1000, description="weight bands that share preference lists")
    form: Literal["auto", "sparse", "dense", "fused"] = Field(
        default="auto", description="how preference lists are computed; auto: by network size and device"
    )
    dither: float = Field(
        default=0.03, ge=0, lt=1, description="splits ties between nodes; share of the mean outbound cost"
    )
    damping: float = Field(default=0.9, ge=0, lt=1, description="how much of their prices the lists keep per step")
    by: Literal["cost", "value"] = Field(
        default="cost",
        description="what ranks the nodes of a demand class: priced `cost`, or also the `value` of the unit given up",
    )


class SolvePart(_Part):
    """How long to search and when to stop."""

    max_steps: int = Field(default=300, ge=1, le=MOST, description="steps after which the search stops in any case")
    decay_steps: int = Field(
        default=150,
        ge=1,
        le=MOST,
        description="steps over which those of levels fall from `learning_rate` to `final_learning_rate` (at most "
        "`max_steps`); what has not converged by then goes on by steps of the last size",
    )
    min_steps: int = Field(default=40, ge=1, le=MOST, description="steps before the search may stop")
    check_every: int = Field(default=5, ge=1, le=MOST, description="steps between checks of the tolerances")
    learning_rate: float = Field(default=0.1, gt=0, le=100, description="first step, in units of mean lead-time demand")
    final_learning_rate: float = Field(default=0.003, gt=0, le=100, description="last step, same unit")
    violation: float = Field(default=0.005, gt=0, le=1e9, description="largest relative capacity violation")
    gap: float = Field(default=0.01, gt=0, le=1e9, description="largest coupling gap")
    change: float = Field(default=0.001, gt=0, le=1e9, description="largest relative change of cost between checks")
    averaging: int = Field(
        default=64,
        ge=1,
        le=MOST,
        description="steps over which plans, usage and cost are averaged (at most the recent third)",
    )
    capacity_margin: float = Field(
        default=0.005, ge=0, lt=0.5, description="capacity kept back while optimising, against sampling error"
    )
    price_gain: float = Field(
        default=1.0,
        ge=1,
        le=1e6,
        description="factor on the steps of prices, for the first 3 % by which a capacity is missed",
    )
    floor_scale: float = Field(
        default=2.0, gt=0, le=1e6, description="steps of the prices of service floors, in costs of a unit promised"
    )
    block_items: int | None = Field(
        default=None, ge=1, le=MOST, description="most items per block; empty: by network size"
    )
    devices: int | None = Field(
        default=None, ge=1, le=MOST, description="devices that share the items; empty: all (on the CPU one per core)"
    )
    feasibility_steps: int = Field(
        default=60, ge=0, le=MOST, description="steps spent on proving that a capacity is out of reach"
    )
    gradient: Literal["checkpointed", "direct"] = Field(
        default="checkpointed", description="recompute each day in the backward pass, or keep everything"
    )
    probe: bool = Field(
        default=True,
        description="try multiples of every item's levels after the search: finds levels without a slope, packs, and "
        "items that are better not stocked",
    )
    slack_items: int = Field(
        default=64,
        ge=0,
        description="items searched further after the search, to estimate what levels could still save; 0: none",
    )
    confirm: bool = Field(
        default=True,
        description="stop when the plan keeps the tolerances on fresh scenarios; false: when means over steps do",
    )
    sample_items: int = Field(
        default=0,
        ge=0,
        le=MOST,
        description="items on which a search from nothing looks for prices and levels before it searches all; 0: none",
    )
    sample_steps: int = Field(default=80, ge=1, le=MOST, description="steps of that search of a sample")


class WarmPart(_Part):
    """What replaces the settings of `solve` when a search starts from an earlier run (why: docs/reruns.md)."""

    max_steps: int = Field(default=60, ge=1, le=MOST, description="steps after which the search stops in any case")
    min_steps: int = Field(default=10, ge=1, le=MOST, description="steps before the search may stop")
    check_every: int = Field(default=2, ge=1, le=MOST, description="steps between checks of the tolerances")
    learning_rate: float = Field(
        default=0.03, gt=0, le=100, description="first step, in units of mean lead-time demand"
    )
    capacity_margin: float = Field(
        default=0.01, ge=0, lt=0.5, description="capacity kept back while optimising, against sampling error"
    )
    confirm: bool = Field(
        default=True,
        description="stop when the plan keeps the tolerances on fresh scenarios; false: when means over steps do",
    )
    price_gain: float = Field(
        default=4.0,
        ge=1,
        le=1e6,
        description="factor on the steps of prices, for the first 3 % by which a capacity is missed",
    )
    damping: float = Field(default=0.9, ge=0, lt=1, description="how much of their prices the lists keep per step")
    hold: float = Field(
        default=0.0,
        ge=0,
        le=10,
        description="levels that change by at most this share of what they were stay as they were (calmer plans)",
    )


class StreamPart(_Part):
    """Catalogs that pass the devices in parts, from files, because they do not fit in memory (docs/scale.md)."""

    above_items: int | None = Field(
        default=None,
        ge=0,
        le=MOST,
        description="stream catalogs of more items than this; empty: those that fill half the memory",
    )
    part_items: int = Field(
        default=8192, ge=1, le=MOST, description="items of a part; memory grows with it, not with the catalog"
    )
    generate: bool = Field(
        default=False, description="make the items of `instance.generate` part by part, without writing an instance"
    )
    scratch: SafePath | None = Field(
        default=None, description="folder for scratch files, about as large as the catalog; empty: in the run folder"
    )


BaselineName = Literal["national_two_day", "independent_sites", "echelon_formulas"]
"""Baselines of a backtest, by the names that they have in `meio_jax.backtest.baselines` (a test compares them)."""


class BacktestPart(_Part):
    """How `meio backtest` lives by daily plans (docs/backtest.md)."""

    days: int = Field(default=28, ge=1, le=3660, description="days that are lived")
    every: int = Field(
        default=1,
        ge=1,
        le=3660,
        description="days from one full plan to the next (warm-started); between them decisions are made every day at "
        "the levels and prices of the last plan",
    )
    seed: int = Field(
        default=1, ge=0, lt=2**63, description="seed of customers, vendors and lanes, the same for all plans"
    )
    customers: Literal["auto", "recorded", "history", "sampled"] = Field(
        default="auto",
        description="who buys: `recorded` sales, the last days of the `history` (which is then known up to the day "
        "before only), or customers `sampled` by the forecast; auto: the first of these that there is",
    )
    actual: SafePath | None = Field(
        default=None,
        description="recorded sales: `item_id`, `units` and `ds` or `period`; empty: `actuals/actual.parquet` of the "
        "instance, if it is there",
    )
    lead_times: SafePath | None = Field(
        default=None, description="recorded vendor lead times: `vendor_id`, `day` of the order, `days`; others: drawn"
    )
    deliveries: SafePath | None = Field(
        default=None, description="recorded short deliveries: `vendor_id`, `day` of the order, `share` that arrives"
    )
    short_chance: float = Field(default=0.0, ge=0, le=1, description="chance that another order arrives short")
    short_share: float = Field(default=1.0, ge=0, le=1, description="share of its units that arrives then")
    baselines: tuple[BaselineName, ...] = Field(
        default=get_args(BaselineName), description="what is compared, planned anew every morning as well"
    )
    steady: float | None = Field(
        default=None,
        gt=0,
        le=10,
        description="a second planner lives the same days with this `warm.hold`: what calmer plans cost; empty: none",
    )
    forecasts: SafePath | None = Field(
        default=None,
        description="your own forecasts by date of issue: `issue_date`, `item_id`, `ds` and the columns of a form of "
        "the forecast (`mean`; `path` and `units`; or quantiles); every morning knows the latest. Empty: the "
        "forecast, or the past sales, of the instance",
    )
    clairvoyant: bool = Field(
        default=False,
        description="a further planner that knows the demand of every item and day in advance (not where customers "
        "live, nor lead times): what a perfect forecast would be worth",
    )
    min_max: SafePath | None = Field(
        default=None, description="your own order-up-to table as a further baseline: `item_id, node_id, min, max`"
    )
    storage: Literal["day", "measure"] = Field(
        default="day", description="storage: its capacity holds every `day`, or is only measured"
    )
    inbound: Literal["day", "bucket", "measure"] | None = Field(
        default=None,
        description="docks: capacity holds every day (what exceeds it waits outside), on average over a bucket, or is "
        "only measured; empty: `day` where the instance says `docks: queue`, else `bucket`",
    )
    outbound: Literal["day", "queue", "bucket", "measure"] | None = Field(
        default=None,
        description="outbound: the same; what exceeds the capacity of a day goes to another node (`day`) or waits and "
        "leaves later (`queue`); empty: `queue` where the instance says `docks: queue`, else `bucket`",
    )


class OutputPart(_Part):
    """Which further tables a plan writes, and who may read them."""

    private: bool = Field(
        default=False, description="nobody but its owner can look into the run folder (permissions 0700)"
    )
    daily_orders: bool = Field(
        default=False, description="write `plan/planned_days`: expected orders of every day by item, vendor and node"
    )


class ExceptionPart(_Part):
    """From where on something is listed in `plan/exceptions` (docs/acting.md)."""

    money: float = Field(default=1.0, ge=0, le=1e12, description="least money at stake")
    lost_share: float = Field(
        default=0.05,
        ge=0,
        le=1,
        description="share of an item's demand from which on its loss or wait is told",
    )
    excess_days: float = Field(
        default=28.0, ge=0, le=1e6, description="periods of demand that stock lies above the highest level of the plan"
    )
    late_share: float = Field(
        default=0.0, ge=0, le=1, description="share of an item's demand that no node serves at the speed asked for"
    )
    late_units: float = Field(
        default=1.0, ge=0, le=1e9, description="units missing before an order arrives that is under way"
    )
    price_jump: float = Field(
        default=2.0, ge=1, le=1e6, description="factor by which a capacity's price grew since the run of a warm start"
    )
    price_share: float = Field(
        default=0.05, ge=0, le=1, description="least part of all capacity rents that such a rise must make up"
    )


class CheckpointPart(_Part):
    """How often the state of the search is saved."""

    every: int = Field(default=25, ge=0, le=MOST, description="steps between checkpoints; 0: none")
    keep: int = Field(default=2, ge=1, le=MOST, description="checkpoints kept")


class MlflowPart(_Part):
    """Logging of finished runs to MLflow (docs/in_and_out.md); needs the extra `mlflow`."""

    experiment: str = Field(default="", max_length=200, description="experiment to log to; empty: runs are not logged")
    uri: str | None = Field(
        default=None,
        max_length=1000,
        description="store (`sqlite:///mlflow.db`, `http://host:5000` ...); empty: MLFLOW_TRACKING_URI",
    )
    artifacts: str | None = Field(
        default=None, max_length=1000, description="where files of a new experiment go; empty: as the store has it"
    )
    tables: bool = Field(default=True, description="log the tables of the plan as files, besides the certificate")

    @field_validator("uri", "artifacts")
    @classmethod
    def _no_password(cls, value: str | None) -> str | None:
        if value is not None and urlsplit(value).password:
            raise ValueError("a URL without a password: MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD have it")
        return value


class Config(_Part):
    """All settings of `meio solve`."""

    instance: InstancePart
    run: SafePath = Field(description="folder of the run, relative to the working directory")
    seed: int = Field(
        default=0, ge=0, lt=2**63, description="seed of all scenarios: same seed, same machine, same plan"
    )
    precision: Literal["float32", "float64"] = Field(default="float32", description="floating-point type")
    scenarios: ScenarioPart = ScenarioPart()
    policy: PolicyPart = PolicyPart()
    objective: ObjectivePart = ObjectivePart()
    risk: RiskPart = RiskPart()
    dual: DualPart = DualPart()
    fulfilment: FulfilmentPart = FulfilmentPart()
    solve: SolvePart = SolvePart()
    warm: WarmPart = WarmPart()
    stream: StreamPart = StreamPart()
    checkpoint: CheckpointPart = CheckpointPart()
    output: OutputPart = OutputPart()
    exceptions: ExceptionPart = ExceptionPart()
    backtest: BacktestPart = BacktestPart()
    mlflow: MlflowPart = MlflowPart()

    @model_validator(mode="after")
    def _one_risk(self) -> Config:
        """Risk of the total and of every item at once would have no meaning."""
        if self.risk.measure != "none" and self.objective.name != "expected_cost":
            raise ValueError(
                f"`objective: {{name: expected_cost}}` beside `risk: {{measure: {self.risk.measure}}}`, which is that "
                f"of the total cost of all items; or `risk: {{measure: none}}` for the objective "
                f"{self.objective.name!r}"
            )
        return self


def _merge(base: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    merged = dict(base)
    for key, value in over.items():
        if isinstance(value, dict) and isinstance(merged.get(key), dict):
            merged[key] = _merge(merged[key], value)
        else:
            merged[key] = value
    return merged


def _read_yaml(path: Path) -> dict[str, Any]:
    remedy = "check the path; the folder `configs` has examples"
    absent = Problem(str(path), "", "", None, "a configuration file", remedy)
    content = parse_yaml(as_text(read_small(path, str(path), absent), str(path)), str(path))
    if not isinstance(content, dict):
        found = Note("an empty file" if content is None else f"a {type(content).__name__}")
        remedy = "start from a file in `configs`"
        raise InputError([Problem(str(path), "", "", found, "a mapping of keys to values", remedy)])
    return content


def _read_with_base(path: Path, depth: int = 0) -> dict[str, Any]:
    content = _read_yaml(path)
    base = content.pop("base", None)
    if base is None:
        return content
    if depth > 4 or not isinstance(base, str):
        problem = Problem(str(path), "", "base", base, "the path of one other file, at most 4 deep", "correct the key")
        raise InputError([problem])
    return _merge(_read_with_base(path.parent / base, depth + 1), content)


def load_config(path: Path) -> Config:
    """Read a configuration file and its base files.

    Args:
        path: The file.

    Returns:
        All settings, defaults where the files say nothing; relative paths are those of the working directory.

    Raises:
        InputError: With one problem per wrong or unknown key.

    Example:
        >>> _ = Path("shop.yaml").write_text("{instance: {path: shop}, run: runs/shop, seed: 7}")
        >>> load_config(Path("shop.yaml")).seed
        7
    """
    return _checked(_read_with_base(path), str(path))


def make_config(**sections: Any) -> Config:
    """A configuration for use from Python, where no folder is read or written.

    Args:
        sections: Keys as in a file, for example `solve={"max_steps": 50}`.

    Returns:
        All settings, defaults where nothing is given.

    Raises:
        InputError: With one problem per wrong or unknown key.

    Example:
        >>> make_config(solve={"max_steps": 50}).solve.max_steps
        50
    """
    return _checked({"instance": {"path": "."}, "run": ".", **sections}, "make_config")


def _checked(content: dict[str, Any], place: str) -> Config:
    try:
        config = Config.model_validate(content)
        _check_options(config)
    except ValidationError as error:
        raise InputError([_as_problem(place, detail) for detail in error.errors()]) from None
    except (TypeError, ValueError) as error:
        expected, remedy = "options that the chosen member has", "see docs/configuration.md"
        raise InputError([Problem(place, "", "options", str(error), expected, remedy)]) from None
    return config


def _check_options(config: Config) -> None:
    OBJECTIVES[config.objective.name](**config.objective.options)
    DUAL_METHODS[config.dual.name](**config.dual.options)


def _as_problem(place: str, detail: Any) -> Problem:
    key = ".".join(str(part) for part in detail["loc"])
    unknown = detail["type"] == "extra_forbidden"
    missing = detail["type"] == "missing"
    said = detail["msg"].removeprefix("Value error, ").removeprefix("Input should be ")
    said = f"a value {said}" if said.startswith(("less", "greater")) else said
    expected = "no such key" if unknown else "a value" if missing else said
    remedy = "remove or rename the key" if unknown else "add the key" if missing else "correct the value"
    return Problem(place, f"key {key}" if key else "", "", None if missing else detail.get("input"), expected, remedy)


def dump_config(config: Config) -> str:
    """The resolved configuration as YAML, as `load_config` reads it.

    Args:
        config: The settings.

    Example:
        >>> "max_steps: 50" in dump_config(make_config(solve={"max_steps": 50}))
        True
    """
    return yaml.safe_dump(config.model_dump(mode="json"), sort_keys=False)
