"""How the run was made: its settings, its instance, its certificate."""

from __future__ import annotations

import json

from meio_jax.report.html import Markup, tag
from meio_jax.report.parts import Column, cell, details, name_cell, section, table
from meio_jax.runs.data import RunData


def settings(data: RunData) -> Markup:
    """Configuration, instance and certificate as they are in the run folder."""
    chosen = data.network.settings
    facts = {
        "instance": chosen.name,
        "first day": chosen.start_date.isoformat(),
        f"{chosen.period}s": str(chosen.periods),
        f"{chosen.period}s per bucket": str(chosen.bucket_periods),
        "forecast": chosen.forecast,
        "currency": chosen.currency,
        **{name: str(data.identity[name]) for name in ("items", "nodes", "regions") if name in data.identity},
    }
    rows = [[name_cell(name), cell(value)] for name, value in facts.items()]
    digests = [
        [name_cell(name), cell(tag("code", str(value)))] for name, value in data.identity.get("digests", {}).items()
    ]
    return section(
        "settings",
        "Run settings",
        table([Column("Setting"), Column("Value")], rows, label="Instance", sortable=False),
        details("Configuration, as resolved", tag("pre", data.config, tabindex=0)),
        details(
            "Hashes of the instance",
            table([Column("File"), Column("BLAKE2b")], digests, label="Hashes", sortable=False),
        ),
        details("Certificate", tag("pre", json.dumps(dict(data.certificate), indent=1), tabindex=0)),
    )
