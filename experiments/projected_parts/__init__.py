"""Parts of `projected_level.py`: exact optima of lost-sales systems, and instances whose demand follows a forecast."""
