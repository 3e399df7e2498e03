#!/usr/bin/env bash
# Checks that every path and every package that deploy/docker/Dockerfile names
# is right, without building the image.
#   docker.sh PROGRAM...    those of the image, of any build without sanitizers
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"
programs=("$@")
dockerfile=deploy/docker/Dockerfile
failed=0

complain() {
  echo "$dockerfile: $*"
  failed=1
}

# Prints the arguments of an instruction, its lines joined, one instruction a
# line.
#   instruction NAME
instruction() {
  sed -e '/^ *#/d' "$dockerfile" | sed -e ':a; /\\$/{N; s/\\\n//; ba}' |
    sed -n "s/^$1  *//p"
}

# Whether .dockerignore lets a path through.
in_context() {
  local path=$1
  while [[ $path != . ]]; do
    if grep -qxF "!$path" .dockerignore; then return 0; fi
    path=$(dirname "$path")
  done
  return 1
}

# What is copied from the project.
copied=0
while read -r -a words; do
  if [[ ${words[0]} == --from=* ]]; then continue; fi
  for path in "${words[@]:0:${#words[@]}-1}"; do
    if [[ ! -e $path ]]; then complain "there is no $path"; fi
    if [[ $path != . ]] && ! in_context "$path"; then
      complain ".dockerignore hides $path"
    fi
    copied=$((copied + 1))
  done
done < <(instruction COPY)
if ((copied < 3)); then complain "only $copied paths are copied"; fi

# What the build reads, and its tests: this is one of them.
if ! in_context .dockerignore; then complain ".dockerignore hides itself"; fi
while read -r path; do
  if ! in_context "$path"; then complain ".dockerignore hides $path"; fi
done < <(sed -n 's/^add_subdirectory(\(.*\))/\1/p' CMakeLists.txt)
while read -r path; do
  if [[ ! -e $path ]]; then echo ".dockerignore: there is no $path"; failed=1; fi
done < <(sed -n 's/^!//p' .dockerignore)

# What is copied from the first stage: the programs, from where the build of
# that preset puts them.
from=$(instruction 'COPY --from=build')
for program in "${programs[@]}"; do
  path=$(instruction WORKDIR)/build/release/bin/$(basename "$program")
  if [[ " $from " != *" $path "* ]]; then complain "does not copy $path"; fi
done
if (($(wc -w <<<"$from") != ${#programs[@]} + 1)); then
  complain "copies something else: $from"
fi
if ! instruction RUN | grep -q 'build.sh release '; then
  complain "does not build the preset release"
fi

# Its ports are the defaults.
defaults=$(env -i "${programs[0]}" config print |
  sed -n 's/.*listen = "127.0.0.1:\([0-9]*\)" .*/\1/p' | xargs)
if [[ $(instruction EXPOSE) != "$defaults" ]]; then
  complain "EXPOSE is not $defaults"
fi

# The packages of the image: those of the libraries that the programs name, and
# two that they run or read. The libraries' names are Debian 12's.
if ! grep -q '^VERSION_CODENAME=bookworm$' /etc/os-release; then
  echo "the packages are not compared: this is not Debian 12"
else
  libraries=$(for program in "${programs[@]}"; do
    readelf --dynamic "$program" | sed -n 's/.*(NEEDED).*\[\(.*\)\]/\1/p'
  done | sort -u)
  mapfile -t files < <(ldd "${programs[@]}" | awk -v wanted="$libraries" '
    BEGIN { n = split(wanted, names, "\n"); for (; n; n--) want[names[n]] = 1 }
    # The folder before it is that of this machine'\''s kind of processor.
    $1 in want { sub(/.*\/lib\//, "*/lib/", $3); print $3 }' | sort -u)
  if ((${#files[@]} != $(wc -w <<<"$libraries"))); then
    complain "not every library is found: $libraries"
  fi
  needed=$(dpkg-query --search "${files[@]}" | sed 's/:.*//' | sort -u)
  listed=$(instruction RUN | sed -n 's/.*--no-install-recommends \(.*\) && .*/\1/p')
  difference=$(diff <(tr ' ' '\n' <<<"$listed" | grep . | sort -u) \
    <(printf '%s\nca-certificates\npostgresql-client-15\n' "$needed" |
      sort -u) || true)
  if [[ $difference ]]; then
    complain "the packages (<) are not those that are needed (>):"
    grep '^[<>]' <<<"$difference"
  fi
  # Every Debian has what PostgreSQL's programs are started by.
  for program in /usr/bin/setpriv /bin/sh; do
    package=$(dpkg-query --search "$program" | sed '/^diversion/d; s/:.*//')
    if [[ $(dpkg-query --show --showformat '${Essential}' "$package") != yes ]]
    then
      complain "$program is not in every Debian, but in $package"
    fi
  done
fi

((failed)) || echo "the paths and packages of $dockerfile are right"
exit "$failed"
