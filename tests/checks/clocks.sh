#!/usr/bin/env bash
# Checks that programs and libraries neither wait by a clock that people set, nor
# read files in ways that throw or never end: the system's clock is for what is
# stored, shown or sent, base/steady_time.h for the rest; files are read by
# base/read_file.h; std::filesystem gets an error code.
# shellcheck source-path=SCRIPTDIR
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

# Who may ask the system's clock (absl::Now, base::Clock, time()), and what for.
wall_clock='
base/clock.h                     declares it
base/steady_time.h               says what it is not for
server/api/request_log.cc        shown
server/app/import_command.cc     stored
server/app/schema_command.cc     the name of a backup
server/app/status_page.cc        shown
server/transport/tls.cc          certificates say until when they hold
server/store/postgres_store      stored
server/store/session_executor    stored
'

# Who reads a file as it comes.
streams='
server/app/import_command.cc     of any size, or a pipe, by a command for people
'

readarray -t files < <(project_files 'base/*.cc' 'base/*.h' 'ops/*.cc' \
  'ops/*.h' 'server/*.cc' 'server/*.h' 'client/*.cc' 'client/*.h' |
  grep -vE '_(test|benchmark)\.cc$|/testing/|_testing\.|^client/examples/')
awk -v wall_clock="$wall_clock" -v streams="$streams" "$(<tests/checks/read_table.awk)"'

function starts_one_of(path, names,    name) {
  for (name in names) {
    if (index(path, name) == 1) return 1
  }
  return 0
}

function complain(what) {
  printf "%s:%d: %s\n", FILENAME, FNR, what
  bad = 1
}

BEGIN {
  read_table(wall_clock, may_ask)
  read_table(streams, may_stream)
  asks = "absl::Now|system_clock|base::Clock|gettimeofday|clock_gettime|" \
    "timespec_get|(^|[^a-z_.>])(std::|::)?time\\((NULL|nullptr|0|&)"
}

FNR == 1 {
  allowed = starts_one_of(FILENAME, may_ask)
  streaming = starts_one_of(FILENAME, may_stream)
  statement = ""
}

{
  sub(/(^|[^:])\/\/.*/, "")
  if ($0 ~ asks && !allowed) {
    complain("the system clock is not for waiting; see tests/checks/clocks.sh")
  }
  if (/ifstream|istreambuf_iterator|directory_iterator/ && !streaming) {
    complain("base/read_file.h reads files and folders")
  }
  statement = statement " " $0
  if ($0 !~ /[;{}]/) next
  if (statement ~ /(fs|filesystem)::[a-z_]+\(/ && statement !~ /error/ &&
      statement !~ /(fs|filesystem)::path\(/) {
    complain("without an error code, std::filesystem throws")
  }
  statement = ""
}

END { exit bad }' "${files[@]}" || exit 1
echo "${#files[@]} sources wait by the steady clock and read files in one way"
