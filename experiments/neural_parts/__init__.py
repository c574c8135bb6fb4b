"""Parts of `neural_policy.py`: the systems that a network is trained on, and the policy held against optima."""
