"""A joint step compiled for a described GPU: what is counted of it is that of its days, and it fuses its rounds."""

import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import pytest
from gpu_parts.device import PLUGINS

HOME = Path(__file__).parents[2]
INSTALLED = any(importlib.util.find_spec(name) is not None for name in PLUGINS)


@pytest.mark.skipif(not INSTALLED, reason=f"none of {', '.join(PLUGINS)} is installed: no compiler for a GPU")
def test_a_small_step_is_compiled_for_a_gpu_and_counted(tmp_path: Path) -> None:
    out = tmp_path / "counted.json"
    command = [sys.executable, str(HOME / "experiments" / "gpu_compile.py"), "--size", "tiny", "--out", str(out)]
    done = subprocess.run([*command, "--hlo", str(tmp_path)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    report = json.loads(out.read_text(encoding="utf-8"))
    (row,) = report["rows"]
    assert row["loops_of_unknown_length"] == 0
    assert row["bytes"] > row["least_bytes"]
    assert row["fits"]
    # All blocks at once: what runs for every day does so as often as there are days, not days and blocks.
    lines = [line for line in report["loops"]["tiny"] if line["program"] == "items" and line["depth"] == 1]
    assert [line for line in lines if line["trips"] not in (None, 1)] != []
    assert "serve_rounds_backward" in (tmp_path / "tiny-items.hlo").read_text(encoding="utf-8")
    # Counted at 190 a day, with all twelve blocks at once; block after block it would be ten times as many.
    assert row["launches"] < 200 * row["days"]
