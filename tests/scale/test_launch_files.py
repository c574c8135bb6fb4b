"""Launch files are well formed and set what the planner reads."""

import os
import re
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

import meio_jax
from meio_jax.distributed.processes import join
from meio_jax.errors import InputError

LAUNCH = Path(meio_jax.__file__).parents[1] / "docs" / "launch"
WANTED = {"JAX_COORDINATOR_ADDRESS", "JAX_NUM_PROCESSES", "JAX_PROCESS_ID"}


def test_the_kubernetes_job_sets_what_is_read() -> None:
    service, job = yaml.safe_load_all((LAUNCH / "kubernetes.yaml").read_text(encoding="utf-8"))
    spec = job["spec"]
    pod = spec["template"]["spec"]
    (container,) = pod["containers"]
    environment = {one["name"]: one for one in container["env"]}
    assert spec["completionMode"] == "Indexed"
    assert set(environment) == WANTED | {"POD_IP", "JAX_COORDINATOR_BIND_ADDRESS"}
    # The port is the one that the others are told.
    ports = {environment[f"JAX_COORDINATOR_{name}"]["value"].split(":")[1] for name in ("ADDRESS", "BIND_ADDRESS")}
    assert len(ports) == 1
    assert environment["JAX_NUM_PROCESSES"]["value"] == str(spec["completions"]) == str(spec["parallelism"])
    # Pods of an Indexed Job are called after it, and found under the name of a headless service.
    host = environment["JAX_COORDINATOR_ADDRESS"]["value"].split(":")[0]
    assert host == f"{job['metadata']['name']}-0.{service['metadata']['name']}"
    assert pod["subdomain"] == service["metadata"]["name"]
    assert service["spec"]["selector"] == {"job-name": job["metadata"]["name"]}
    assert service["spec"]["clusterIP"] == "None"


def test_the_slurm_script_sets_what_is_read(tmp_path: Path) -> None:
    """The script runs with stand-ins for the scheduler's commands."""
    script = LAUNCH / "slurm.sbatch"
    subprocess.run(["bash", "-n", str(script)], check=True)
    stand_ins = {
        "scontrol": "printf 'n07\\nn08\\n'",
        "srun": 'shift; export SLURM_PROCID=1; exec "$@"',
        "meio": 'echo "$JAX_COORDINATOR_ADDRESS $JAX_NUM_PROCESSES $JAX_PROCESS_ID $*"',
    }
    for name, text in stand_ins.items():
        (tmp_path / name).write_text(f"#!/bin/bash\n{text}\n", encoding="utf-8")
        (tmp_path / name).chmod(0o755)
    environment = {"PATH": f"{tmp_path}:{os.environ['PATH']}", "SLURM_JOB_NODELIST": "n[07-08]", "SLURM_NTASKS": "2"}
    done = subprocess.run(
        ["bash", str(script), "solve", "a b.yaml"], env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout == "n07:12355 2 1 solve a b.yaml\n"
    assert re.search(r"^#SBATCH --ntasks-per-node=1$", script.read_text(encoding="utf-8"), re.MULTILINE)


def test_half_an_environment_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JAX_COORDINATOR_ADDRESS", "127.0.0.1:1")
    monkeypatch.delenv("JAX_PROCESS_ID", raising=False)
    monkeypatch.setenv("JAX_NUM_PROCESSES", "2")
    with pytest.raises(InputError, match="JAX_PROCESS_ID"):
        join()


LISTENING = """
import os, sys
from meio_jax.distributed.processes import join
join()
port = int(os.environ["JAX_COORDINATOR_ADDRESS"].split(":")[1])
found = []
for name in ("tcp", "tcp6"):
    for line in open(f"/proc/net/{name}").read().splitlines()[1:]:
        local, state = line.split()[1], line.split()[3]
        if state == "0A" and int(local.split(":")[1], 16) == port:
            found.append(local.split(":")[0])
sys.stdout.write(" ".join(found))
sys.stdout.flush()
os._exit(0)
"""


@pytest.mark.skipif(not Path("/proc/net/tcp").exists(), reason="the list of sockets is that of Linux")
def test_the_coordinator_listens_at_the_address_that_it_is_given() -> None:
    """127.0.0.1 and nothing else; by itself the library listens on every network, `[::]`."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("JAX_COORDINATOR")}
    environment |= {"JAX_COORDINATOR_ADDRESS": f"127.0.0.1:{port}", "JAX_NUM_PROCESSES": "1", "JAX_PROCESS_ID": "0"}
    done = subprocess.run(
        [sys.executable, "-c", LISTENING], env=environment, capture_output=True, text=True, check=True, timeout=120
    )
    # IPv4 as the kernel writes it, or the same address mapped into IPv6.
    assert done.stdout in ("0100007F", "0000000000000000FFFF00000100007F")
