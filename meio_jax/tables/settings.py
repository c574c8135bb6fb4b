"""`instance.yaml`: the settings of an instance, and how they are read."""

from __future__ import annotations

import datetime
import itertools
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from jaxtyping import Int, Shaped
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from meio_jax.errors import InputError, Note, Problem, visible
from meio_jax.tables.nearest import nearest
from meio_jax.tables.origins import Origin
from meio_jax.tables.periods import PeriodLength, period_date, period_numbers
from meio_jax.tables.plain_yaml import as_text, parse_yaml, read_small

SETTINGS_FILE = "instance.yaml"
EARLIEST, LATEST = datetime.date(1950, 1, 1), datetime.date(2200, 12, 31)
"""Days outside of these are taken for slips in every table."""
_OTHER_NAMES = ("instance.yml", "instance.YAML", "Instance.yaml", "INSTANCE.YAML", "instance.json", "instance.yaml.txt")
LONGEST = 3660
"""Most periods of a horizon, and most days of anything that is counted in days: ten years."""

ForecastForm = Literal["paths", "quantiles", "mean", "history"]


_DEFAULTS: dict[object, dict[str, int]] = {
    "week": {"bucket_periods": 1, "history_block": 4, "lead_time_limit": 52},
    "month": {"bucket_periods": 1, "history_block": 3, "lead_time_limit": 24},
}


class InstanceSettings(BaseModel):
    """The settings of an instance (file `instance.yaml`). Frozen; an unknown key is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)

    name: str = Field(min_length=1, max_length=200, description="name of the instance, for reports")
    start_date: Annotated[datetime.date, Field(strict=False)] = Field(description="first day of the horizon: period 0")
    period: PeriodLength = Field(
        default="day",
        description="length of a period: of history, forecast, lead times, reviews and capacities alike; "
        "a month begins on the day of the month of `start_date`",
    )
    periods: int = Field(ge=1, le=LONGEST, description="length of the horizon in periods")
    bucket_periods: int = Field(
        default=7,
        ge=1,
        le=LONGEST,
        description="periods that share one target and one price; default 1 where periods are weeks or months",
    )
    warmup_periods: int = Field(default=0, ge=0, description="first periods, simulated but not charged")
    wave_ends: Annotated[tuple[float, ...], Field(strict=False)] = Field(
        default=(24.0,),
        min_length=1,
        max_length=96,
        description="ends of the waves in hours of the day, ascending, the last 24; wave w holds the orders "
        "placed in (end of wave w-1, end of wave w]",
    )
    currency: str = Field(
        default="USD", min_length=1, max_length=20, description="the one currency of all money columns"
    )
    forecast: ForecastForm = Field(description="form of the table `forecast`")
    shared_factor_cv: float = Field(
        default=0.0,
        ge=0,
        le=10,
        description="coefficient of variation of the gamma factor that scales all demand of a region and week (or "
        "longer period)",
    )
    world_factor_cv: float = Field(
        default=0.0,
        ge=0,
        le=3,
        description="coefficient of variation of the lognormal factor, of mean 1, that scales the demand of all items "
        "together: what a good or bad season, or an economy, does; for every form of the forecast",
    )
    world_factor_persistence: float = Field(
        default=1.0,
        ge=0,
        le=1,
        description="correlation of the logarithm of that factor from week to week (or longer period); 1: one factor "
        "for the whole horizon",
    )
    autocorrelation: float = Field(
        default=0.0,
        gt=-1,
        lt=1,
        description="correlation of a period with the next in the Gaussian copula that joins quantiles",
    )
    history_block: int = Field(
        default=7,
        ge=1,
        le=366,
        description="periods per block when past sales are bootstrapped; default 4 weeks, 3 months",
    )
    history_row_days: int = Field(
        default=1,
        ge=1,
        le=31,
        description="days that a row of past sales stands for, from its day on; its units are spread over them evenly",
    )
    history_limit: int = Field(
        default=7305, ge=1, le=36525, description="how many days before start_date past sales may go back at most"
    )
    pipeline_holding: bool = Field(default=False, description="charge holding cost on stock under way as well")
    ordering: Literal["morning", "evening"] = Field(
        default="morning",
        description="when nodes order: in the morning, after the day's receipts and before its sales, or in the "
        "evening after them; stock at the start is that of the morning of period 0, or of the evening before it",
    )
    docks: Literal["price", "queue"] = Field(
        default="price",
        description="what happens at a dock, inbound or outbound, on a day that asks for more than its capacity: "
        "`price`: it is done nevertheless, and capacities hold by their prices, on average over a bucket; `queue`: "
        "what exceeds the capacity of the day waits (docs/everyday.md)",
    )
    terminal: Literal["continue", "liquidate"] = Field(
        default="continue",
        description="what comes after the horizon: business goes on (demand continues the forecast, and decisions of "
        "the last periods are made for it), or everything ends and stock is sold off",
    )
    terminal_credit: float = Field(
        default=1.0,
        ge=0,
        le=100,
        description="credit for stock left at the end, as a multiple of what it cost to bring it where it lies "
        "(under `liquidate`: of `unit_cost`, at most what buying it anew costs)",
    )
    stationary_targets: bool = Field(default=False, description="one target for all buckets")
    lead_time_limit: int = Field(
        default=120,
        ge=1,
        le=LONGEST,
        description="longest lead time accepted, in periods; default 52 weeks, 24 months",
    )

    frozen_periods: int = Field(
        default=0,
        ge=0,
        le=LONGEST,
        description="first periods in which orders at vendors stand as they were planned (table `planned_orders`) or "
        "fixed (table `overrides`) and nothing new is ordered; transfers stay free",
    )
    keep_columns: str = Field(
        default="",
        max_length=10_000,
        description="columns of your own that tables may have, parted by `;`: they are not read; those whose names "
        "begin with `x_` may always be there",
    )
    sources: dict[str, Origin] = Field(
        default_factory=dict,
        description="where tables are that do not lie in the folder, by name: a path, or a mapping (see below)",
    )

    @model_validator(mode="before")
    @classmethod
    def _defaults_of_the_period(cls, value: Any) -> Any:
        usual = _DEFAULTS.get(value.get("period"), {}) if isinstance(value, dict) else {}
        return {**usual, **value} if usual else value

    @field_validator("start_date", mode="before")
    @classmethod
    def _plain_date(cls, value: Any) -> Any:
        if isinstance(value, datetime.date) and not isinstance(value, datetime.datetime):
            return value
        try:
            return datetime.date.fromisoformat(value)
        except (TypeError, ValueError):
            raise ValueError("expected a date (YYYY-MM-DD)") from None

    @field_validator("start_date")
    @classmethod
    def _within_a_century(cls, value: datetime.date) -> datetime.date:
        if not EARLIEST <= value <= LATEST:
            raise ValueError(f"expected a day from {EARLIEST} to {LATEST}")
        return value

    @field_validator("name", "currency")
    @classmethod
    def _can_be_shown(cls, value: str) -> str:
        if visible(value) != value:
            raise ValueError("expected text without control characters or invisible ones")
        return value

    @field_validator("wave_ends", mode="before")
    @classmethod
    def _numbers(cls, value: Any) -> Any:
        if not isinstance(value, list | tuple) or any(
            isinstance(end, bool) or not isinstance(end, int | float) for end in value
        ):
            raise ValueError("expected a list of hours, such as [11, 24]")
        return value

    @field_validator("wave_ends")
    @classmethod
    def _waves_fill_the_day(cls, value: tuple[float, ...]) -> tuple[float, ...]:
        if any(end <= 0 or end > 24 for end in value):
            raise ValueError("expected hours > 0 and <= 24")
        if any(later <= earlier for earlier, later in itertools.pairwise(value)):
            raise ValueError("expected hours in ascending order")
        if value and value[-1] != 24:
            raise ValueError("expected the last wave to end at 24")
        return value

    @model_validator(mode="after")
    def _rows_of_days_only(self) -> InstanceSettings:
        if self.history_row_days > 1 and self.period != "day":
            raise ValueError(f"expected history_row_days of 1 where period is {self.period}")
        return self

    @model_validator(mode="after")
    def _warmup_within_horizon(self) -> InstanceSettings:
        if self.warmup_periods >= self.periods:
            raise ValueError(f"expected warmup_periods ({self.warmup_periods}) less than periods ({self.periods})")
        return self

    @property
    def waves(self) -> int:
        """Number of waves in a day."""
        return len(self.wave_ends)

    @property
    def buckets(self) -> int:
        """Number of buckets; the last one may be shorter than the others."""
        return -(-self.periods // self.bucket_periods)

    @property
    def end_date(self) -> datetime.date:
        """First day after the horizon."""
        return self.date_of(self.periods)

    def date_of(self, period: int) -> datetime.date:
        """First day of a period; negative periods are before the horizon."""
        return period_date(self.start_date, period, self.period)

    def keeps(self, column: str) -> bool:
        """Whether a column that no table declares may be there: it begins with `x_`, or is in `keep_columns`."""
        return column.startswith("x_") or column in {name.strip() for name in self.keep_columns.split(";")}

    def periods_of(self, dates: Shaped[np.ndarray, " rows"]) -> Int[np.ndarray, " rows"]:
        """Number of the period in which each date (`datetime64`) falls; negative before the horizon."""
        return period_numbers(dates, self.start_date, self.period)


def read_settings(folder: Path) -> InstanceSettings:
    """Read and check `instance.yaml` of a folder. InputError with every problem found."""
    return read_settings_bytes(folder)[0]


def read_settings_bytes(folder: Path) -> tuple[InstanceSettings, bytes]:
    """The settings of a folder, and the bytes that they were read from.

    Raises:
        InputError: With every problem found.
    """
    found = [name for name in _OTHER_NAMES if (Path(folder) / name).is_file()]
    remedy = f"rename {found[0]}" if found else "write the file; docs/format.md lists its keys"
    absent = _problem("", "", "", f"a file {SETTINGS_FILE} in {folder}", remedy)
    content = read_small(Path(folder) / SETTINGS_FILE, SETTINGS_FILE, absent)
    return settings_from_mapping(parse_yaml(as_text(content, SETTINGS_FILE), SETTINGS_FILE)), content


def settings_from_mapping(content: object) -> InstanceSettings:
    """Settings from the parsed content of `instance.yaml`. InputError with every problem found."""
    if not isinstance(content, dict):
        kind = Note("an empty file" if content is None else f"a {type(content).__name__}")
        raise InputError([_problem("", "", kind, "a mapping of keys to values", "write lines such as `periods: 56`")])
    try:
        return InstanceSettings.model_validate({str(key): value for key, value in content.items()})
    except ValidationError as error:
        raise InputError([_from_pydantic(entry) for entry in error.errors()]) from None


def _problem(where: str, key: str, value: object, expected: str, remedy: str) -> Problem:
    return Problem(SETTINGS_FILE, f"key {key}" if key else where, "", value, expected, remedy)


def _from_pydantic(entry: Any) -> Problem:
    key = ".".join(str(part) for part in entry["loc"])
    known = list(InstanceSettings.model_fields)
    if entry["type"] == "extra_forbidden":
        near = nearest(key, known)
        hint = f"did you mean {near}? " if near else ""
        found = "" if key.startswith("sources.") else entry["input"]
        return _problem("", key, found, "a known key", f"{hint}rename or remove the key")
    if entry["type"] == "missing":
        meaning = InstanceSettings.model_fields[key].description
        return _problem("", key, None, f"a value ({meaning})", f"add the key {key}")
    message = entry["msg"].removeprefix("Value error, ").removeprefix("expected ")
    # What stands in a source may be a password, which is not shown.
    unshown = isinstance(entry["input"], InstanceSettings) or not key or key.startswith("sources")
    value = "" if unshown else entry["input"]
    message = message.removeprefix("Input should be ")
    message = f"a value {message}" if message.startswith(("greater", "less")) else message
    return _problem("", key, value, message, "correct the value")
