#!/usr/bin/env bash
# Runs the tests in .venv, which is made if need be: all of them in two processes, or what the arguments, which go to
# pytest, say, in one: scripts/test.sh -k resize
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

bash scripts/setup_venv.sh
source .venv/bin/activate
# Threads that wait for each other make a shared machine many times slower; one thread costs little (benchmark_threads.py).
export OMP_NUM_THREADS=${OMP_NUM_THREADS:-1}
if [ $# = 0 ]; then
    set -- --quiet --durations=10 --numprocesses=2 --dist=loadgroup tests
fi
exec python -m pytest "$@"
