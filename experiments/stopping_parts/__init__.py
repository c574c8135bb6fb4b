"""Parts of the experiment `stopping.py`."""
