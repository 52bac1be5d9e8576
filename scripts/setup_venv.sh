#!/usr/bin/env bash
# usage: bash scripts/setup_venv.sh [FOLDER [PYTHON [REQUIREMENT...]]]
# Makes or reuses the virtual environment FOLDER (.venv in the project's folder) with the project (editable), all it needs
# and the REQUIREMENTs installed, such as torch==2.6.0. Does nothing when that is already so. quickstart.sh, test.sh and
# test_pythons.sh call it.
# Exit code 3: installed, but OpenCV lacks a system library.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

die() { echo "error: $1" >&2; exit "${2:-1}"; }

venv=${1:-.venv}
candidates=(python3.12 python3.13 python3.11 python3.10 python3)
[ $# -lt 2 ] || candidates=("$2")
requirements=("${@:3}")

supported() { "$1" -c 'import sys; sys.exit(sys.version_info < (3, 10))' 2>/dev/null; }

make_venv() {
    local candidate
    for candidate in "${candidates[@]}"; do
        if supported "$candidate"; then
            echo "Making $venv with $("$candidate" -V)."
            "$candidate" -m venv "$venv" && return
            rm -rf "$venv"
            die "$candidate cannot make virtual environments. On Debian and Ubuntu: apt-get install $(basename "$candidate")-venv"
        fi
    done
    die "no Python 3.10 or later found as ${candidates[*]}; install one, for example with 'apt-get install python3 python3-venv' or 'uv python install 3.13', and put it on the PATH."
}

install_project() {
    "$venv/bin/python" -c 'import sys; v = sys.version_info; v < (3, 14) or print(f"Tested on Python 3.10 to 3.13; trying {v[0]}.{v[1]}.")'
    # First, since no resolver can build it on Python 3.13 and later.
    "$venv/bin/python" scripts/install_basicsr.py
    # One resolver run over everything else. uv is much faster than pip at it and keeps one copy of each package.
    if command -v uv >/dev/null; then
        uv pip install --python "$venv" -e '.[test]' "${requirements[@]}"
    elif "$venv/bin/python" -m pip install --quiet uv; then
        "$venv/bin/uv" pip install --python "$venv" -e '.[test]' "${requirements[@]}"
    else
        echo "uv cannot be installed here; installing with pip, which is slower."
        "$venv/bin/python" -m pip install -e '.[test]' "${requirements[@]}"
    fi
}

# An editable installation follows every edit but those of these files; moving the folder breaks it as well.
state() {
    "$venv/bin/python" -V
    pwd
    echo "${requirements[@]}"
    cksum setup.py pyproject.toml selfsr_plugin/hook/autoload.py
}

check_opencv() {
    local message library
    message=$("$venv/bin/python" -c 'import cv2' 2>&1) && return
    library=$(tail -n 1 <<<"$message" | grep -oE '[A-Za-z0-9_.+-]+\.so[.0-9]*: cannot open shared' | cut -d: -f1) || true
    case $library in
        '') die "OpenCV cannot be imported: $message" ;;
        # libgl1 brings libxcb.so.1; whoever lacks one of these lacks the others too
        libGL.* | libxcb.* | libglib-2.0.* | libgthread-2.0.*)
            die "OpenCV lacks the system library $library. On Debian and Ubuntu: apt-get install libgl1 libglib2.0-0" 3 ;;
        *) die "OpenCV lacks the system library $library; install the package that holds it." 3 ;;
    esac
}

[ -x "$venv/bin/python" ] || make_venv
supported "$venv/bin/python" || die "$venv does not hold a working Python 3.10 or later; remove that folder and run this again."
if [ "$(cat "$venv/installed" 2>/dev/null)" = "$(state)" ]; then
    echo "Nothing to install: $venv is up to date."
else
    echo "Installing the project and what it needs into $venv (a few GB, once)."
    install_project
    state >"$venv/installed"
fi
check_opencv
