"""Parts of the experiment on horizons."""
