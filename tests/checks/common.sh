# shellcheck shell=bash
# What the checks share; each one sources this and is then at the project's
# root. A check prints what is wrong and fails; it exits with 77 if a tool that
# it needs can't be had on this system.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

# Installs the package that has a command, where the command is missing.
#   require COMMAND PACKAGE
require() {
  if command -v "$1" >/dev/null; then return; fi
  deploy/local/install.sh "$2" || true
  if command -v "$1" >/dev/null; then return; fi
  echo "skipped: there is no $1 here (package $2; Debian 12 has it)"
  exit 77
}

# Prints the project's files, one a line: those in git, and new ones that
# .gitignore does not name.
#   project_files PATTERN...
project_files() {
  git ls-files --cached --others --exclude-standard --deduplicate -- "$@" |
    while read -r file; do
      if [[ -f $file ]]; then echo "$file"; fi
    done
}

require git git
