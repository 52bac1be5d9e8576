#!/usr/bin/env bash
# Runs the tests in .venv, which is made if need be. Arguments go to pytest: scripts/test.sh -k resize
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

bash scripts/setup_venv.sh
source .venv/bin/activate
[ $# -gt 0 ] || set -- --quiet --durations=10 tests
exec python -m pytest "$@"
