#!/bin/sh
# The tests of shared projects run a PostgreSQL server of their own. This installs its programs where it may (root on
# Debian or Ubuntu) and says what is missing where it may not; those tests are then skipped.
set -eu
if command -v initdb >/dev/null 2>&1 || ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1; then exit 0; fi
if command -v apt-get >/dev/null 2>&1 && [ "$(id -u)" = 0 ]; then
    echo "Installing PostgreSQL"
    export DEBIAN_FRONTEND=noninteractive
    # The tests make a cluster themselves: none is to be made and started for the machine.
    settings=/etc/postgresql-common/createcluster.d/deeplense-tests.conf
    mkdir -p "$(dirname "$settings")"
    echo "create_main_cluster = false" >"$settings"
    trap 'rm -f "$settings"' EXIT
    apt-get -qq update && apt-get -qq install -y --no-install-recommends postgresql >/dev/null
else
    echo "No PostgreSQL server here: tests of shared projects are skipped (Debian: sudo apt-get install postgresql)" >&2
fi
