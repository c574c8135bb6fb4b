"""`Tables`: the tables of one instance, read and checked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import polars as pl

from meio_jax.errors import InputWarning
from meio_jax.tables.assemble import assemble, parts_of
from meio_jax.tables.context import Scope
from meio_jax.tables.findings import Findings, View
from meio_jax.tables.frames import Frame, as_polars
from meio_jax.tables.schema import TABLE_NAMES
from meio_jax.tables.settings import InstanceSettings
from meio_jax.tables.sources import Part


@dataclass(frozen=True)
class Tables:
    """The tables of an instance; columns and types as `schema` declares them, defaults filled, ids as
    strings.

    Optional tables that were absent are empty frames. `forecast` has the columns of the form
    `settings.forecast`; in form quantiles, `unique_id`, `ds` and one column `q<level>` per level,
    ascending. Empty cells (null) are left in `latitude`, `longitude` and in the scope, bucket and measure
    columns of `resources`, in the upper bounds of `assortment`, in the names and
    dates of `calendar` and `backlog`, in `node_id` of `price_breaks` and `vendors`, in the sizes of trucks, and in what
    does not concern a row of `overrides`, only.

    `warnings` are what was found that can be used but is probably not meant, `digests` those of the bytes that
    were read (by name of the file or folder), `read_from` names the file of each table that was read, and `assumed`
    says by name what was taken in place of tables that were left out.
    """

    settings: InstanceSettings
    items: pl.DataFrame
    nodes: pl.DataFrame
    lanes: pl.DataFrame
    regions: pl.DataFrame
    speeds: pl.DataFrame
    transit: pl.DataFrame
    cutoffs: pl.DataFrame
    offers: pl.DataFrame
    forecast: pl.DataFrame
    shares: pl.DataFrame
    resources: pl.DataFrame
    on_hand: pl.DataFrame
    on_order: pl.DataFrame
    lead_times: pl.DataFrame
    assortment: pl.DataFrame
    calendar: pl.DataFrame
    backlog: pl.DataFrame
    overrides: pl.DataFrame
    planned_orders: pl.DataFrame
    expiries: pl.DataFrame
    price_breaks: pl.DataFrame
    vendors: pl.DataFrame
    warnings: tuple[InputWarning, ...] = field(default=(), compare=False)
    digests: Mapping[str, str] = field(default_factory=dict, compare=False)
    read_from: Mapping[str, str] = field(default_factory=dict, compare=False)
    assumed: Mapping[str, str] = field(default_factory=dict, compare=False)

    @classmethod
    def from_frames(cls, settings: InstanceSettings, **frames: Frame) -> Tables:
        """Check frames held in memory as files would be checked.

        Args:
            settings: what `instance.yaml` would say.
            frames: tables by name, of polars, pandas or Arrow; optional ones may be left out.

        Returns:
            The instance, columns that were left out filled with their defaults.

        Raises:
            InputError: with every problem of every table.

        Example:
            >>> changed = {**tables.frames(), "items": tables.items.with_columns(pl.col("price") * 2)}
            >>> Tables.from_frames(settings, **changed).items["price"].to_list()
            [60.0, 90.0]
        """
        findings = Findings()
        return cls.checked(settings, parts_of(frames, findings), Scope.ALL, findings)

    @classmethod
    def checked(
        cls,
        settings: InstanceSettings | None,
        parts: Mapping[str, Sequence[Part] | None],
        scope: Scope,
        findings: Findings,
        given: Mapping[str, View] | None = None,
    ) -> Tables:
        """Tables from parts as read; the arguments are those of `assemble`. InputError with all problems."""
        frames = assemble(settings, parts, scope, findings, given)
        assert settings is not None  # else there were findings
        labels = {name: pieces[0].source.whole for name, pieces in parts.items() if pieces}
        tables = cls(settings=settings, **frames)  # type: ignore[arg-type]
        return replace(tables, warnings=findings.merged_warnings(), read_from=labels, assumed=findings.assumed)

    def frames(self) -> dict[str, pl.DataFrame]:
        """All tables by name.

        Example:
            >>> tables.frames()["nodes"]["node_id"].to_list()
            ['east', 'west']
        """
        return {name: getattr(self, name) for name in TABLE_NAMES}

    def replace(self, **changes: Frame | InstanceSettings) -> Tables:
        """A copy with some tables replaced, unchecked.

        Args:
            changes: tables by name, in the columns of the schema, or `settings`.

        Example:
            >>> tables.replace(on_hand=tables.on_hand.clear()).on_hand.height
            0
        """
        given = {
            name: value if isinstance(value, InstanceSettings) else as_polars(value, name)
            for name, value in changes.items()
        }
        return replace(self, **given)  # type: ignore[arg-type]
