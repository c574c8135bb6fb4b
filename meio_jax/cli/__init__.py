"""The command `meio`."""

from meio_jax.cli.commands import BAD_INPUT, app, main

__all__ = ["BAD_INPUT", "app", "main"]
