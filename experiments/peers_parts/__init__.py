"""Parts of `peers_closed_loop.py`: a public multi-echelon environment, its published results, and our planner in it."""
