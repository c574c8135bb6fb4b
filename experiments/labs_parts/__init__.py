"""Parts of the labs: what is compared, how it is run, how it is judged."""
