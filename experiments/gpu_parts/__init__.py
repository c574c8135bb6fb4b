"""Parts of the experiments about the GPU: the described card, what programs are compiled for it, and their count."""
