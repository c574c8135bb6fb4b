"""Parts of the experiments about the GPU that have tests of their own."""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parents[2] / "experiments"))
