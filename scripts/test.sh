#!/usr/bin/env bash
# Runs the tests in .venv, which is made if need be. Arguments go to pytest: scripts/test.sh -k resize
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

bash scripts/setup_venv.sh
source .venv/bin/activate
# Threads that spin while one of them waits for a core make a shared machine many times slower (benchmark_threads.py).
export OMP_WAIT_POLICY=${OMP_WAIT_POLICY:-PASSIVE}
[ $# -gt 0 ] || set -- --quiet --durations=10 tests
exec python -m pytest "$@"
