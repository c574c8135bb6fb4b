"""What `experiments/faults.py` does to commands."""
