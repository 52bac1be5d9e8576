#!/usr/bin/env bash
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

usage() {
    cat <<'USAGE'
usage: bash scripts/quickstart.sh [--fresh]

Makes .venv with everything in it (the first time only), trains and tests SelFSR on the
small demo in datasets/demo, and says where the pictures and the scores are.
A second run goes on where the first one stopped.

  --fresh   remove what earlier runs of the demo wrote and start again
  --help    show this text
USAGE
}

fresh=no
for argument in "$@"; do
    case $argument in
        --fresh) fresh=yes ;;
        -h | --help) usage; exit ;;
        *) echo "error: unknown argument $argument" >&2; usage >&2; exit 2 ;;
    esac
done

run() { echo "+ $*"; "$@"; }

bash scripts/setup_venv.sh
source .venv/bin/activate
# Threads that wait for each other make a shared machine many times slower; one thread costs little (benchmark_threads.py).
export OMP_NUM_THREADS=${OMP_NUM_THREADS:-1}

if [ "$fresh" = yes ]; then
    echo "Removing what earlier runs of the demo wrote."
    run rm -rf experiments/train_selfsr_demo tb_logger/train_selfsr_demo results/test_selfsr_demo
fi
run python -m basicsr.train -opt options/train_selfsr_demo.yml --auto_resume
run python -m basicsr.test -opt options/test_selfsr_demo.yml
run python scripts/demo_report.py
