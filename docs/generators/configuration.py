"""The page `docs/configuration.md`, written from the declarations of the settings and the registries."""

from __future__ import annotations

import dataclasses
import re
import types
import typing
from pathlib import Path
from typing import Any

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from meio_jax.config.settings import Config
from meio_jax.dual import DUAL_METHODS
from meio_jax.model.correction import Correction
from meio_jax.objective import OBJECTIVES
from meio_jax.policy import POLICIES

_INTRODUCTION = """\
# Configuration

*This page is generated from the settings by `python docs/write.py`; a test keeps it up to date.*

A configuration is a YAML file for `meio solve`. Only `instance.path` and `run` must be given. An unknown key is an
error, and all problems of a file are told at once. A file may name another one as `base: FILE` (relative to itself, at
most four deep): its own keys override those of the base, level by level. The run folder keeps the settings as resolved
in `config.yaml`. From Python, `meio_jax.config.make_config(solve={"max_steps": 50})` takes the same keys.

```yaml
base: base.yaml
instance: {path: instances/mine}
run: runs/mine
objective: {name: cvar, options: {level: 0.9}}
solve: {max_steps: 200}
```
"""

_SIGNS = {"ge": ">=", "gt": ">", "le": "<=", "lt": "<"}


def configuration_page() -> str:
    """The text of `docs/configuration.md` (Markdown)."""
    own = {name: field for name, field in Config.model_fields.items() if not _models(field)}
    parts = [_INTRODUCTION, "## Top level\n\n" + _table(own, {})]
    for name, field in Config.model_fields.items():
        for model in _models(field):
            parts.append(_section(name, model, 2))
    parts += [
        _family("Policies", "policy.name", POLICIES),
        _family("Objectives", "objective", OBJECTIVES),
        _family("Dual methods", "dual", DUAL_METHODS),
    ]
    return "\n".join(parts)


def _models(field: FieldInfo) -> list[type[BaseModel]]:
    """Nested settings that a field holds."""
    found = typing.get_args(field.annotation) or (field.annotation,)
    return [one for one in found if isinstance(one, type) and issubclass(one, BaseModel)]


def _section(name: str, model: type[BaseModel], depth: int) -> str:
    doc = model.__doc__ or ""
    plain = {key: field for key, field in model.model_fields.items() if not _models(field)}
    text = f"{'#' * depth} {name}\n\n{doc.split('Attributes:')[0].strip()}\n\n{_table(plain, _attributes(doc))}"
    for key, field in model.model_fields.items():
        for inner in _models(field):
            text += "\n" + _section(f"{name}.{key} (optional)", inner, depth + 1)
    return text


def _attributes(doc: str) -> dict[str, str]:
    """Texts of the section `Attributes:` of a docstring, by name."""
    found: dict[str, str] = {}
    last = ""
    for line in doc.partition("Attributes:")[2].splitlines():
        named = re.match(r" {8}(\w+): (.*)", line)
        if named:
            last = named[1]
            found[last] = named[2]
        elif last and line.strip():
            found[last] += " " + line.strip()
    return found


def _table(fields: dict[str, FieldInfo], texts: dict[str, str]) -> str:
    lines = ["| key | type | range | default | meaning |", "|---|---|---|---|---|"]
    for name, field in fields.items():
        default = "required" if field.is_required() else default_text(field.get_default(call_default_factory=True))
        meaning = (field.description or texts.get(name, "")).rstrip(".")
        cells = (type_name(field.annotation), _bounds(field), default, meaning)
        lines.append(f"| `{name}` | " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return "\n".join(lines) + "\n"


def type_name(annotation: Any) -> str:
    """A type in words."""
    origin, inner = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is typing.Literal:
        return ", ".join(f"`{choice}`" for choice in inner)
    if origin in (typing.Union, types.UnionType):
        return " or ".join(type_name(one) for one in inner if one is not type(None))
    if origin is typing.Annotated:
        return type_name(inner[0])
    if origin is tuple:
        return f"list of {type_name(inner[0])}" if Ellipsis in inner else f"list of {len(inner)} {type_name(inner[0])}s"
    if origin is dict:
        return "mapping"
    names: dict[Any, str] = {str: "text", int: "whole number", float: "number", bool: "true or false"}
    names |= {Path: "path", Correction: "path"}
    return names.get(annotation, getattr(annotation, "__name__", str(annotation)))


def _bounds(field: FieldInfo) -> str:
    """Limits of a number, also where they stand inside an optional type."""
    entries = list(field.metadata)
    for one in typing.get_args(field.annotation):
        for extra in getattr(one, "__metadata__", ()):
            entries += getattr(extra, "metadata", [extra])
    found = [
        f"{sign} {_number(getattr(entry, key))}"
        for entry in entries
        for key, sign in _SIGNS.items()
        if hasattr(entry, key)
    ]
    return ", ".join(dict.fromkeys(found))


def default_text(value: object) -> str:
    """A default as a reader would write it."""
    if value is None:
        return "empty"
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    if isinstance(value, list | tuple):
        return "`[" + ", ".join(str(one) for one in value) + "]`"
    if isinstance(value, dict):
        return "`{}`"
    return f"`{_number(value)}`"


def _number(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def _family(title: str, key: str, family: dict[str, type]) -> str:
    """Members by name, what they do, and the options that each takes."""
    lines = [f"## {title} (`{key}`)\n", "| name | what it does | options |", "|---|---|---|"]
    for name, member in sorted(family.items()):
        options = [
            f"`{field.name}` ({default_text(field.default)})"
            for field in dataclasses.fields(member)
            if field.default is not dataclasses.MISSING
        ]
        sentence = (member.__doc__ or "").strip().split("\n\n")[0].replace("\n    ", " ").replace("|", "\\|")
        lines.append(f"| `{name}` | {sentence} | {', '.join(options) or 'none'} |")
    return "\n".join(lines) + "\n"
