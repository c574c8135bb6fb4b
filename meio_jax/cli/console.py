"""Where commands write: a terminal gets texts to show, and nothing that it would act on."""

from __future__ import annotations

from collections.abc import Iterable

from rich import markup
from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment

from meio_jax.errors import visible


class PlainConsole(Console):
    """A console that writes escapes in place of control and format characters, wherever a text comes from.

    Ids are cleaned when an instance is read; names of folders, texts of a run folder that somebody sent, and what
    libraries say are not. Colours and moves of the cursor are the console's own and stay.
    """

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """Pieces of a renderable, their texts made visible."""
        for piece in super().render(renderable, options):
            yield piece if piece.control or piece.text.isprintable() else Segment(shown(piece.text), piece.style)


def shown(text: str) -> str:
    """The text with escapes for all that is not to be seen, but its line ends."""
    return "\n".join(visible(line) for line in text.split("\n"))


def output() -> Console:
    """Standard output; lines are as long as they are."""
    return PlainConsole(soft_wrap=True)


def messages() -> Console:
    """Standard error, as `output`."""
    return PlainConsole(stderr=True, soft_wrap=True)


def escape(text: str) -> str:
    """A text for a renderable that reads markup: shown as it is, and of the width that it will have."""
    return markup.escape(shown(text))
