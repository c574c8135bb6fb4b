"""How good a plan is: holdout, certificate, feasibility, bounds, and when a search may stop."""
