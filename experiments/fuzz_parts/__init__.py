"""Parts of the experiment `fuzz`."""
