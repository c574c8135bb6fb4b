"""Parts of `experiments/fulfilment_regret.py`."""
