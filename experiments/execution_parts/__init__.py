"""Parts of the execution experiment: small instances, and the days that are lived by their plans."""
