# Sourced by the other scripts: goes to the project's root and puts a virtual environment that holds
# raypipe[dev] first on PATH. RAYPIPE_VENV names an existing one to use in place of .venv;
# RAYPIPE_PYTHON names the Python that a new one is made with.

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cd "$root"

die() {
    printf '%s: %s\n' "$(basename "$0")" "$1" >&2
    exit "${2:-1}"
}

is_supported() {
    "$1" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 14))' 2>/dev/null
}

find_python() {
    local candidate
    for candidate in ${RAYPIPE_PYTHON:-python3 python3.13 python3.12 python3.11}; do
        if command -v "$candidate" >/dev/null && is_supported "$candidate"; then
            printf '%s\n' "$candidate"
            return
        fi
    done
    die "raypipe needs Python 3.11, 3.12 or 3.13; found $(python3 --version 2>&1 || true).
Install one (such as python3.12), or name it: RAYPIPE_PYTHON=/path/to/python3.12 $0"
}

make_venv() {
    local python
    python=$(find_python)
    echo "Making a virtual environment in ${venv#"$root"/} with $("$python" --version)."
    "$python" -m venv "$venv" || {
        rm -rf "$venv"
        die "$python cannot make virtual environments; on Debian and Ubuntu: apt install python3-venv"
    }
}

install() {
    local stamp="$venv/.raypipe-installed" wanted quiet=
    wanted=$(cat pyproject.toml constraints.txt | sha256sum)
    if [ -f "$stamp" ] && [ "$(cat "$stamp")" = "$wanted" ]; then
        return
    fi
    [ -t 1 ] || quiet=--quiet
    echo "Installing raypipe and what it needs (once; torch and Ray are large, so this takes minutes)."
    "$venv/bin/python" -m pip install $quiet --disable-pip-version-check \
        -c constraints.txt -e '.[dev]' || die "the installation failed; what pip says is above"
    printf '%s\n' "$wanted" >"$stamp"
}

if [ -n "${RAYPIPE_VENV:-}" ]; then
    venv=$RAYPIPE_VENV
    [ -x "$venv/bin/python" ] || die "RAYPIPE_VENV=$venv is no virtual environment: it has no bin/python"
    is_supported "$venv/bin/python" || die "RAYPIPE_VENV=$venv holds $("$venv/bin/python" --version 2>&1);
raypipe needs Python 3.11, 3.12 or 3.13"
else
    venv="$root/.venv"
    [ -x "$venv/bin/python" ] || make_venv
fi
install
export PATH="$venv/bin:$PATH"
# An environment that several clones share was installed from one of them; here this one's code runs.
export PYTHONPATH="$root${PYTHONPATH:+:$PYTHONPATH}"
# Tests start many processes, each of which would compile all that it imports anew.
unset PYTHONDONTWRITEBYTECODE
