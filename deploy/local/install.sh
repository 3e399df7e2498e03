#!/usr/bin/env bash
# Installs the Debian packages that are missing, as root or with sudo; does
# nothing, at once, when all are there.
#   install.sh [PACKAGE...]    without names: those of packages.txt
set -euo pipefail

# What has to be undone at the end, as commands.
at_exit=()
tidy_up() {
  local command
  for command in "${at_exit[@]}"; do $command; done
}
trap tidy_up EXIT

say() { printf '%s\n' "$*" >&2; }

# Prints the packages among the arguments that are not installed.
missing_of() {
  comm -23 <(printf '%s\n' "$@" | sort -u) \
    <(dpkg-query --show --showformat '${db:Status-Status} ${Package}\n' |
      sed -n 's/^installed //p' | sort -u)
}

# Debian's postgresql starts a database for the whole machine as it is first
# installed; nobody asked for one. Its installer reads this folder, so a file
# there while it runs keeps it from that, and nothing stays changed.
no_system_database() {
  local folder=/etc/postgresql-common/createcluster.d
  mkdir -p "$folder"
  echo 'create_main_cluster = false' >"$folder/userprofile-install.conf"
  at_exit+=("rm -f $folder/userprofile-install.conf")
  at_exit+=("rmdir --ignore-fail-on-non-empty $folder")
}

# Packages of Debian's that start a daemon as they are installed, and at each boot,
# and the name of that service; the tests run these programs by themselves.
declare -A daemons=(
  [etcd-server]=etcd
  [haproxy]=haproxy
  [nginx]=nginx
  [patroni]=patroni
  [pgbouncer]=pgbouncer
  [prometheus]=prometheus
)

# This file, where there is none, forbids to start them now; no_daemon_at_boot is
# for later.
no_daemons_now() {
  local policy=/usr/sbin/policy-rc.d
  if [[ -e $policy ]]; then return; fi
  printf '#!/bin/sh\nexit 101\n' >"$policy"
  chmod 755 "$policy"
  at_exit+=("rm -f $policy")
}

no_daemon_at_boot() {
  local service=$1
  update-rc.d "$service" disable >/dev/null 2>&1 || true
  if command -v systemctl >/dev/null; then
    systemctl --quiet disable "$service.service"
  fi
}

install_as_root() {
  export DEBIAN_FRONTEND=noninteractive
  local apt=(apt-get -o DPkg::Lock::Timeout=300 -qq) words package
  say "Installing (some minutes on a new machine): $*"
  "${apt[@]}" update ||
    say "apt-get update failed; trying with the lists there are."
  if [[ " $* " == *" postgresql "* ]]; then no_system_database; fi
  for package in "$@"; do
    if [[ -n ${daemons[$package]:-} ]]; then no_daemons_now; fi
  done
  if ! words=$("${apt[@]}" install -y --no-install-recommends "$@" \
    </dev/null 2>&1); then
    say "$words"
    say "apt-get install failed; what it said is above."
    return 1
  fi
  for package in "$@"; do
    if [[ -n ${daemons[$package]:-} ]]; then
      no_daemon_at_boot "${daemons[$package]}"
    fi
  done
}

packages=("$@")
if ((${#packages[@]} == 0)); then
  mapfile -t packages < <(sed -e 's/#.*//' -e '/^[[:space:]]*$/d' \
    "$(dirname "${BASH_SOURCE[0]}")/packages.txt")
fi

if ! command -v apt-get >/dev/null; then
  say "This needs Debian 12 or 13 (apt-get). Elsewhere, install the like of"
  say "deploy/local/packages.txt by hand, and build with cmake --preset release."
  exit 1
fi

mapfile -t missing < <(missing_of "${packages[@]}")
if ((${#missing[@]} == 0)); then
  exit 0
fi
if ((EUID == 0)); then
  install_as_root "${missing[@]}"
elif command -v sudo >/dev/null; then
  say "Debian packages are missing; installing them with sudo."
  sudo -- "$BASH" "${BASH_SOURCE[0]}" "${missing[@]}"
else
  say "Debian packages are missing, and only root can install them. As root:"
  say "  apt-get install --no-install-recommends ${missing[*]}"
  exit 1
fi
