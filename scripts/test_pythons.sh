#!/usr/bin/env bash
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

usage() {
    cat <<'USAGE'
usage: bash scripts/test_pythons.sh [--python VERSION]... [--with REQUIREMENT]... [PYTEST ARGUMENT]...

Runs the tests on every Python from 3.10 on that is on the PATH or in pyenv, one after the other, each in a virtual
environment of its own in .venvs, and prints a line for each at the end. What they say is in .venvs/*.log.

  --python  only this one, such as 3.13; may be repeated
  --with    install this too, such as torch==2.6.0 with torchvision==0.21.0; may be repeated
  --help    show this text
USAGE
}

pythons=()
requirements=()
while [ $# -gt 0 ]; do
    case $1 in
        --python) pythons+=("${2:?--python needs a version}"); shift 2 ;;
        --with) requirements+=("${2:?--with needs a requirement}"); shift 2 ;;
        -h | --help) usage; exit ;;
        *) break ;;
    esac
done
if [ $# = 0 ]; then # as in test.sh
    set -- --numprocesses=2 --dist=loadgroup tests
fi

if command -v pyenv >/dev/null; then  # its python3.X on the PATH run the versions that are named here
    PYENV_VERSION=$(pyenv versions --bare | paste -sd:)
    export PYENV_VERSION
fi
if [ ${#pythons[@]} = 0 ]; then
    for minor in {10..20}; do
        if "python3.$minor" -c '' 2>/dev/null; then pythons+=("3.$minor"); fi
    done
    [ ${#pythons[@]} -gt 0 ] || { echo "error: no Python from 3.10 on is on the PATH or in pyenv" >&2; exit 1; }
fi
export OMP_NUM_THREADS=${OMP_NUM_THREADS:-1}  # as in test.sh

run_tests() {
    bash scripts/setup_venv.sh "$1" "python$2" "${requirements[@]}"
    source "$1/bin/activate"
    shift 2
    python -m pytest --quiet --durations=10 "$@"
}

mkdir -p .venvs
status=0
summary=()
for python in "${pythons[@]}"; do
    name=$(IFS=-; echo "${python}${requirements:+-}${requirements[*]}")
    echo "Python $name: see .venvs/$name.log"
    set +e  # not an if or ||, in which bash would ignore the subshell's set -e
    (set -e; run_tests ".venvs/$name" "$python" "$@") >".venvs/$name.log" 2>&1
    code=$?
    set -e
    result=passed
    if [ "$code" != 0 ]; then result=FAILED; status=1; fi
    summary+=("Python $name $result: $(tail -n 1 ".venvs/$name.log")")
done
printf '%s\n' "${summary[@]}"
exit "$status"
