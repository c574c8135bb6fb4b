"""Questions to a finished run about a few items or one capacity: replan, explain, what if."""
