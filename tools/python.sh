# Sets $python to a Python that can run the tools, or ends with a message. To be read by another script.
python=
# The environment's own where it is made: no look-up, and no shim that starts it (pyenv's takes a third of a second).
[ ! -x "${checkout:-.}/.venv/bin/python" ] || python="${checkout:-.}/.venv/bin/python"
for candidate in python3 python3.14 python3.13 python3.12 python3.11; do
    [ -z "$python" ] || break
    if "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
        python=$candidate
        break
    fi
done
if [ -z "$python" ]; then
    echo "error: Python 3.11 or newer is needed, and neither python3 nor python3.11 to python3.14 on PATH is one." >&2
    echo "Install it (on Debian and Ubuntu: apt install python3 python3-venv), and run this again." >&2
    exit 1
fi
