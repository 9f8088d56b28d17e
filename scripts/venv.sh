#!/bin/sh
# venv.sh PYTHON FOLDER LOCK: make FOLDER a virtual environment holding exactly what LOCK names.
# Debian's python3 comes without ensurepip; then virtualenv or uv is tried before giving up with what to install.
set -eu
py=$1 venv=$2 lock=$3
if ! "$py" -c 'import sys; sys.exit(sys.version_info < (3, 11))'; then
    echo "Anwang needs Python 3.11 or newer; $py is $("$py" -V 2>&1). Set PY=/path/to/python3.11." >&2
    exit 1
fi
if [ ! -x "$venv/bin/python" ]; then
    if "$py" -c 'import ensurepip' 2>/dev/null; then
        "$py" -m venv "$venv"
    elif command -v uv >/dev/null 2>&1; then
        uv venv -q --seed --python "$py" "$venv"
    elif "$py" -m virtualenv --version >/dev/null 2>&1; then
        "$py" -m virtualenv -q -p "$py" "$venv"
    elif "$py" -m pip --version >/dev/null 2>&1; then
        "$py" -m pip install -q --target "$venv.bootstrap" virtualenv
        PYTHONPATH="$venv.bootstrap" "$py" -m virtualenv -q -p "$py" "$venv"
        rm -rf "$venv.bootstrap"
    else
        echo "This Python has neither ensurepip nor pip. On Debian or Ubuntu: apt install python3-venv" >&2
        exit 1
    fi
fi
echo "installing Python packages of $lock ..."
# not compiled: the program imports a small part of them, and Python compiles that when it is first needed
"$venv/bin/python" -m pip install -q --disable-pip-version-check --no-compile --require-hashes -r "$lock"
