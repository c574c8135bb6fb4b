#!/usr/bin/env bash
# Everything that is measured on a real GPU, in one command and less than ten minutes:
#
#     experiments/gpu.sh [DIR]
#
# writes gpu_rounds.json (the kernels of preference rounds against the rounds one by one, values and derivatives),
# gpu_kernel.json (a day of the simulation, forward and with gradient), gpu_step.json (joint steps of growing
# catalogs, fused and not, with the share of the bandwidth that they reach) and gpu_solve_sizes.json (a solve to
# tolerance, cold and warm) into DIR (default experiments/results). A part that fails or takes too long does not stop
# the others; the exit status is then 1. What can be known without a GPU is that of experiments/gpu_compile.py.
#
# Programs are compiled without trying variants on the device: with them a joint step was not compiled after 150 s on
# four cores, and without them two were after 60 s on ten.
set -uo pipefail
cd "$(dirname "$0")/.."
out=${1:-experiments/results}
failed=0

part() {
    local seconds=$1
    shift
    echo "== $*"
    timeout "$seconds" "$@" || { echo "== failed, or not done after $seconds s: $*" >&2; failed=1; }
}

if ! python -c 'import jax, sys; sys.exit(jax.default_backend() == "cpu")'; then
    echo "JAX sees no GPU on this machine: install jax[cuda13], or see experiments/gpu_compile.py" >&2
    exit 1
fi
export XLA_FLAGS="${XLA_FLAGS:---xla_gpu_autotune_level=0 --xla_gpu_enable_triton_gemm=false}"
part 60 python experiments/gpu_rounds.py --out "$out/gpu_rounds.json"
part 120 python experiments/bench_kernel.py --nodes 10 --nodes 100 --repeats 5 --no-with-loop --out "$out/gpu_kernel.json"
part 240 python experiments/gpu_step.py --out "$out/gpu_step.json"
part 150 python experiments/bench_solve.py --items 10000 --us-full-steps 0 --out "$out/gpu_solve_sizes.json"
exit "$failed"
