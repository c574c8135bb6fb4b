"""Run folders: what a run writes, reads again, continues from and hands over."""
