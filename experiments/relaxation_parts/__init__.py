"""Parts of `relaxation.py`: lost-sales systems as chains, reference policies, values of units, and bounds."""
