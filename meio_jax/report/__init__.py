"""The report of a run: one HTML file that opens anywhere."""

from meio_jax.report.page import render, write_report

__all__ = ["render", "write_report"]
