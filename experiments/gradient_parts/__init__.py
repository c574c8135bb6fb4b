"""Parts of experiments/gradients.py."""
