"""The server of a run: prices, explanations and re-plans of a few items over HTTP, from one process."""
