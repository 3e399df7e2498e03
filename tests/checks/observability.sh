#!/usr/bin/env bash
# Checks the alert rules with promtool, and runs their tests; makes
# prometheus-rule.yaml of them anew, and fails if that changed it.
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"
require promtool prometheus

cd deploy/observability
promtool check rules alerts.yaml
promtool test rules alerts_test.yaml
promtool check config --syntax-only prometheus.yaml

rule=prometheus-rule.yaml
made=$(
  cat <<'HEAD'
# The alerts of alerts.yaml, for the Prometheus operator. Made from them by
# tests/checks/observability.sh; change them there.
apiVersion: monitoring.coreos.com/v1
kind: PrometheusRule
metadata:
  name: userprofile
spec:
HEAD
  sed -n '/^groups:/,$s/^\(.\)/  \1/p; /^$/p' alerts.yaml
)
if [[ $made != "$(<$rule)" ]]; then
  printf '%s\n' "$made" >$rule
  echo "$rule is made anew: see git diff"
  exit 1
fi
echo "the alerts do what their tests say"
