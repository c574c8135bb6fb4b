"""Where a table comes from that does not lie in the folder of its instance: files, object stores, databases, Delta.

Texts may hold `${NAME}`: the value of an environment variable, put in when the table is fetched and never written or
shown. Passwords have no other place: one that stands in the text itself is refused.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from meio_jax.errors import InputError, Problem, visible

_VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")
_LOGIN = re.compile(r"://[^:/?@\s]*:(?!\d+[/?])(\S*)@")  # not the port of a host, behind which an @ stands
_SECRET = re.compile(r"(?i)[?&;](?:password|passwd|pwd|secret|token|sig|[a-z_-]*key)=([^&;\s]*)")
_USER = re.compile(r"://\S*@")

CLOUD = {"s3": ("s3fs", "s3"), "gs": ("gcsfs", "gs")}
"""Object stores by the scheme of their paths: the library that reads them, and the name of the kind."""


class Origin(BaseModel):
    """Where the rows of a table are: one of `path`, `database` with `query`, or `delta`."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    path: str | None = Field(default=None, min_length=1, max_length=2000)
    sheet: str | None = Field(default=None, min_length=1, max_length=31)
    database: str | None = Field(default=None, min_length=1, max_length=2000)
    query: str | None = Field(default=None, min_length=1, max_length=100_000)
    delta: str | None = Field(default=None, min_length=1, max_length=2000)
    version: int | None = Field(default=None, ge=0, lt=2**63)

    @field_validator("path", "sheet", "database", "delta", "query")
    @classmethod
    def _can_be_shown(cls, value: str | None) -> str | None:
        if value is not None and visible(lines := value.replace("\n", "").replace("\t", "")) != lines:
            raise ValueError("expected text without control characters or invisible ones")
        return value

    @model_validator(mode="before")
    @classmethod
    def _text_is_a_path(cls, value: Any) -> Any:
        return {"path": value} if isinstance(value, str) else value

    @model_validator(mode="after")
    def _one_of_three(self) -> Origin:
        given = [name for name in ("path", "database", "delta") if getattr(self, name) is not None]
        if len(given) != 1:
            raise ValueError("expected a path, or one of the keys path, database (with query) and delta")
        if (self.database is None) != (self.query is None):
            raise ValueError("expected a query with a database, and only there")
        if self.version is not None and self.delta is None:
            raise ValueError("expected a version only of a Delta table")
        if self.sheet is not None and self.path is None:
            raise ValueError("expected a sheet only of a workbook")
        scheme, parted, _ = self.place.partition("://")
        if self.path is not None and parted and scheme not in CLOUD:
            raise ValueError(
                f"expected a path of a file, or one that begins with {', '.join(f'{s}://' for s in CLOUD)}"
            )
        if any(_VARIABLE.sub("", found) for found in [*_LOGIN.findall(self.place), *_SECRET.findall(self.place)]):
            raise ValueError("expected no password here: write ${NAME}, the name of an environment variable")
        return self

    @property
    def place(self) -> str:
        """Path, database or Delta table, as written."""
        return self.path or self.database or self.delta or ""

    @property
    def kind(self) -> str:
        """Short name of the kind: path, query, delta, or that of the object store."""
        if self.database is not None:
            return "query"
        if self.delta is not None:
            return "delta"
        return CLOUD[self.place.split("://")[0]][1] if "://" in self.place else "path"

    @property
    def shown(self) -> str:
        """The place as it may be shown: without a user's name, and as written where it names variables."""
        return _USER.sub("://", self.place)


def filled(text: str, label: str, environment: Mapping[str, str] = os.environ) -> tuple[str, tuple[str, ...]]:
    """A text with the values of its environment variables in place, and these values, which nobody may see.

    Args:
        text: A path, URL or query.
        label: What it is the source of, for the message.
        environment: The variables.

    Raises:
        InputError: If a variable is not set.
    """
    names = _VARIABLE.findall(text)
    lost = [name for name in dict.fromkeys(names) if name not in environment]
    if lost:
        remedy = "set it before the command (`export NAME=...`), or correct the name"
        raise InputError([Problem(label, f"variable {n}", "", None, "an environment variable", remedy) for n in lost])
    # In a URL a password may hold what has a meaning there.
    value = lambda name: quote(environment[name], safe="") if "://" in text else environment[name]
    secrets = {value(name) for name in names} | {environment[name] for name in names}
    return _VARIABLE.sub(lambda match: value(match[1]), text), tuple(sorted(secrets - {""}, key=len, reverse=True))


def without_secrets(text: str, secrets: tuple[str, ...]) -> str:
    """What a library said, without values of variables and without what stands before the host of a URL."""
    for secret in secrets:
        text = text.replace(secret, "***")
    return _USER.sub("://***@", text)
