#!/usr/bin/env bash
# Puts the package for Python into a folder, as its README says. 77 if what its
# bots need can't be had here.
#   python_packages.sh FOLDER
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
folder=$1

"$root/deploy/local/install.sh" python3-grpcio python3-pip python3-protobuf \
  python3-python-telegram-bot python3-wheel || exit 77

# Its bot is one of version 13, as Debian 12 has it.
/usr/bin/python3 -Wignore -c 'import sys, telegram
sys.exit(not telegram.__version__.startswith("13."))' || exit 77

# From a copy: a build leaves files where it builds.
copy=$(mktemp -d)
trap 'rm -rf "$copy"' EXIT
mkdir "$copy/client"
cp -r "$root/proto" "$copy"
cp -r "$root/client/python" "$copy/client"
rm -rf "$folder"
/usr/bin/python3 -m pip install --quiet --disable-pip-version-check \
  --root-user-action=ignore --no-build-isolation --no-deps --no-index \
  --target "$folder" "$copy/client/python"
