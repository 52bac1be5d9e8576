#!/usr/bin/env bash
# Runs the tests in .venv, which is made if need be: all of them in two processes, or what the arguments, which go to
# pytest, say, in one: scripts/test.sh -k resize
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

bash scripts/setup_venv.sh
source .venv/bin/activate
# Threads that spin while one of them waits for a core make a shared machine many times slower (benchmark_threads.py).
export OMP_WAIT_POLICY=${OMP_WAIT_POLICY:-PASSIVE}
if [ $# = 0 ]; then
    export OMP_NUM_THREADS=${OMP_NUM_THREADS:-1} # a thread for each process
    set -- --quiet --durations=10 --numprocesses=2 --dist=loadgroup tests
fi
exec python -m pytest "$@"
