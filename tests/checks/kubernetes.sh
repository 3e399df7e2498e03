#!/usr/bin/env bash
# Renders the overlays in deploy/kubernetes and checks every object: against
# Kubernetes' schemas, and what kube-score, kubesec and Polaris ask for.
#   kubernetes.sh [NODE ARGUMENTS...]
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"
require npm npm

# Debian 12's own carries a kustomize of 2019.
if ! command -v kubectl >/dev/null; then
  echo "skipped: there is no kubectl here (1.28 or newer, from kubernetes.io)"
  exit 77
fi
if ! kubectl version --client --output=json |
  grep -q '"kustomizeVersion": "v[5-9]'; then
  echo "skipped: this kubectl renders too little; one of 1.28 or newer does"
  exit 77
fi

# Into the build folder, where what npm brought stays from run to run.
tools=build/tools/deploy
mkdir -p "$tools"
if ! cmp --quiet tests/deploy/package-lock.json "$tools/package-lock.json" ||
  [[ ! -d $tools/node_modules ]]; then
  cp tests/deploy/package.json tests/deploy/package-lock.json "$tools"
  npm ci --prefix "$tools" --no-audit --no-fund --loglevel=error
fi
cp tests/deploy/*.mjs "$tools"
USERPROFILE_ROOT=$PWD node --test "$@" "$tools"
