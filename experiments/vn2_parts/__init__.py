"""Parts of experiments/vn2.py: the rules of the competition, forecasts, and policies."""
