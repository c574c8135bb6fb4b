"""Eight devices end where one does, and exchange one sum a step, whatever the number of items."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from on_eight_devices import collectives

# Sums over items in another order, 50 steps of float32.
SAME = 1e-5


def on_eight_devices(what: str, home: Path) -> dict:
    """What the program beside this file finds."""
    program = Path(__file__).with_name("on_eight_devices.py")
    done = subprocess.run([sys.executable, str(program), what, str(home)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(done.stdout)


@pytest.mark.slow
def test_a_step_holds_one_collective_whose_size_does_not_depend_on_the_items(tmp_path: Path) -> None:
    found = on_eight_devices("exchanges", tmp_path)
    assert len(found["few"]) == 1, found["few"]
    assert found["few"] == found["many"]
    assert found["few"][0][0] == "all-reduce"


def test_collectives_of_every_form_are_counted() -> None:
    text = """
      %a = f32[3,4]{1,0} all-reduce(%x), channel_id=1
      %b = (f32[3]{0}, f32[3]{0}) all-reduce-start(%x), channel_id=2
      %c = f32[3]{0} all-reduce-done(%b)
      %d = (f32[2]{0}, s32[]) all-to-all(%x, %y)
      ROOT %e = f32[8]{0:T(128)} all-gather(%x), dimensions={0}
      %f = f32[8]{0} add(%all-reduce, %x)
    """
    kinds = [kind for kind, _ in collectives(text)]
    assert kinds == ["all-reduce", "all-reduce", "all-to-all", "all-gather"]
    assert collectives(text)[0][1] == "f32[3,4]"


def test_eight_devices_end_where_one_does(tmp_path: Path) -> None:
    found = on_eight_devices("searches", tmp_path)
    one, eight = found["one"], found["eight"]
    np.testing.assert_allclose(eight["cost"], one["cost"], rtol=SAME)
    for name in ("prices", "target"):
        ours, theirs = np.asarray(eight[name]), np.asarray(one[name])
        assert theirs.max() > 0
        np.testing.assert_allclose(ours, theirs, rtol=SAME, atol=SAME * theirs.max(), err_msg=name)
