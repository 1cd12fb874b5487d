#!/bin/sh
# Usage: install-python-venv.sh PYTHON
# Debian and Ubuntu keep the venv module in a package of its own: install it as root, else name it.
set -eu
python=$1
if "$python" -c 'import ensurepip, venv' 2>/dev/null; then exit 0; fi
if ! command -v apt-get >/dev/null 2>&1; then
    echo "$python has no venv module: install your system's package for it" >&2
    exit 2
fi
if [ "$(id -u)" != 0 ]; then
    echo "Python lacks its venv module. Please run: sudo apt-get install -y python3-venv" >&2
    exit 2
fi
echo "Installing python3-venv"
export DEBIAN_FRONTEND=noninteractive
apt-get -qq update
apt-get -qq install -y --no-install-recommends python3-venv >/dev/null
