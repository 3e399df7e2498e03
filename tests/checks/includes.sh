#!/usr/bin/env bash
# Checks that a function of Abseil is used where its header is included, by the
# file or by the header of the same name. Others may include it by chance: which
# ones do changes with Abseil's version, and Debian 13 has another than 12.
# shellcheck source-path=SCRIPTDIR
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

# A header, and what it declares.
headers='
absl/functional/function_ref.h  FunctionRef
absl/random/random.h            (Insecure)?BitGen Bernoulli Uniform
absl/strings/ascii.h            AsciiStrTo(Lower|Upper)
                                Strip(Leading|Trailing)?AsciiWhitespace
                                ascii_is[a-z]+
absl/strings/escaping.h         (WebSafe)?Base64(Escape|Unescape)
                                BytesToHexString HexStringToBytes
                                (Utf8Safe)?C(Hex)?Escape CUnescape
absl/strings/match.h            (Starts|Ends)With(IgnoreCase)?
                                EqualsIgnoreCase StrContains(IgnoreCase)?
absl/strings/numbers.h          Simple(Hex)?Ato[a-z]+
absl/strings/str_cat.h          StrCat StrAppend
absl/strings/str_format.h       Str(Append)?Format FPrintF StreamFormat
absl/strings/str_join.h         StrJoin
absl/strings/str_replace.h      StrReplaceAll
absl/strings/str_split.h        StrSplit
absl/strings/strip.h            (Strip|Consume)(Prefix|Suffix)
absl/strings/substitute.h       Substitute(AndAppend)?
absl/time/clock.h               Now SleepFor
'

readarray -t files < <(project_files '*.cc' '*.h')
awk -v headers="$headers" "$(<tests/checks/read_table.awk)"'

BEGIN {
  read_table(headers, names)
  for (header in names) {
    gsub(/^ | $/, "", names[header])
    gsub(/ /, "|", names[header])
    names[header] = "absl::(" names[header] ")([^A-Za-z0-9_]|$)"
  }
}

{
  sub(/(^|[^:])\/\/.*/, "")
  if (match($0, /^#include "absl\/[^"]*"/)) {
    included = substr($0, 11, RLENGTH - 11)
    has[FILENAME, included] = 1
    next
  }
  for (header in names) {
    if ($0 ~ names[header] && !((FILENAME, header) in first)) {
      first[FILENAME, header] = FNR
    }
  }
}

END {
  for (use in first) {
    split(use, part, SUBSEP)
    name = part[1]
    sub(/[.]cc$/, ".h", name)
    if ((part[1], part[2]) in has || (name, part[2]) in has) continue
    printf "%s:%d: uses what %s declares; include it\n",
      part[1], first[use], part[2]
    bad = 1
  }
  exit bad
}' "${files[@]}" | sort || exit 1
echo "${#files[@]} sources include the headers of what they call"
