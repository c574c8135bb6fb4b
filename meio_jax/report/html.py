"""HTML built from values: every text is escaped unless it was made by `tag` itself."""

from __future__ import annotations

import html
import unicodedata
from collections.abc import Iterable
from typing import Any

_SIGN = "\N{REPLACEMENT CHARACTER}"
_VOID = frozenset({"br", "col", "hr", "img", "input", "link", "meta", "wbr"})


class Markup(str):
    """Text that is HTML already."""

    __slots__ = ()


def text(value: object) -> Markup:
    """A value as HTML text.

    Characters that HTML does not allow, that nobody sees or that turn the order of others around become a visible sign.
    """
    if isinstance(value, Markup):
        return value
    plain = "".join(_SIGN if _is_unseen(char) else char for char in str(value))
    return Markup(html.escape(plain, quote=True))


def _is_unseen(char: str) -> bool:
    return char not in "\n\t" and unicodedata.category(char) in ("Cc", "Cf", "Cs")


def join(children: Iterable[Any]) -> Markup:
    """Children one after the other; None is nothing, and lists are laid out flat."""
    parts: list[str] = []
    for child in children:
        if child is None:
            continue
        if isinstance(child, list | tuple):
            parts.append(join(child))
        else:
            parts.append(text(child))
    return Markup("".join(parts))


def prose(words: str) -> Markup:
    """Plain text in which `this` is code, as in messages to users."""
    return join([tag("code", part) if at % 2 else part for at, part in enumerate(words.split("`"))])


def tag(name: str, *children: Any, **attributes: Any) -> Markup:
    """An element.

    Args:
        name: Name of the element.
        children: Text (escaped), markup, lists of these, or None.
        attributes: A trailing underscore is dropped (`class_`), others become hyphens; None and False leave the
            attribute out, True writes it without a value.
    """
    written = [f"<{name}"]
    for key, value in attributes.items():
        if value is None or value is False:
            continue
        label = key.rstrip("_").replace("_", "-")
        written.append(f" {label}" if value is True else f' {label}="{text(value)}"')
    written.append(">")
    if name in _VOID:
        return Markup("".join(written))
    return Markup("".join([*written, join(children), f"</{name}>"]))
