#!/bin/sh
# Usage: install-qt-libraries.sh PYTHON
# Does nothing where Qt loads (and its X11 plugin, where there is a display). Else installs the system libraries that Qt
# needs when it may (root on Debian or Ubuntu), and names them in one line to copy when it may not.
set -eu
python=$1
here=$(dirname "$0")

qt_loads() {
    QT_QPA_PLATFORM=offscreen "$python" -c '
import os, subprocess, sys
from PySide6.QtCore import QLibraryInfo
from PySide6.QtGui import QFontDatabase
from PySide6.QtWidgets import QApplication
application = QApplication([])
if not QFontDatabase.families():
    sys.exit("no fonts")
if sys.platform == "linux" and os.environ.get("DISPLAY"):
    plugins = QLibraryInfo.path(QLibraryInfo.LibraryPath.PluginsPath)
    needed = subprocess.run(["ldd", plugins + "/platforms/libqxcb.so"], capture_output=True, text=True).stdout
    sys.exit("not found" in needed)
' >/dev/null 2>&1
}

if qt_loads; then exit 0; fi

if command -v apt-get >/dev/null 2>&1; then
    set -- install -y --no-install-recommends $(cat "$here/qt-libraries.debian.txt")
    if [ "$(id -u)" = 0 ]; then
        echo "Installing the system libraries of Qt"
        export DEBIAN_FRONTEND=noninteractive
        apt-get -qq update && apt-get -qq "$@" >/dev/null
    else
        echo "Qt lacks system libraries. Please run: sudo apt-get $*" >&2
        exit 2
    fi
elif command -v dnf >/dev/null 2>&1; then
    echo "Qt lacks system libraries. Please run: sudo dnf install -y $(tr '\n' ' ' <"$here/qt-libraries.fedora.txt")" >&2
    exit 2
fi

if qt_loads; then exit 0; fi
echo "Qt does not load; what it says:" >&2
QT_QPA_PLATFORM=offscreen "$python" -c 'from PySide6.QtWidgets import QApplication; QApplication([])' >&2 || exit 2
