# cmake -DOUTPUT=files.cc -DFOLDER=... -P embed.cmake
# Writes the source of server/app/page/files.h: every byte of the files, escaped.

cmake_minimum_required(VERSION 3.25)

set(text "// Generated from server/app/page by embed.cmake.
#include \"server/app/page/files.h\"

namespace userprofile::app {
")
foreach(name Html Css Js)
  string(TOLOWER ${name} extension)
  file(READ ${FOLDER}/status.${extension} bytes HEX)
  string(REGEX REPLACE "(..)" "\\\\x\\1" literal "${bytes}")
  string(LENGTH "${bytes}" digits)
  math(EXPR size "${digits} / 2")
  string(APPEND text
         "\nconst absl::string_view kStatus${name}(\n    \"${literal}\", ${size});\n")
endforeach()
file(WRITE ${OUTPUT} "${text}\n}  // namespace userprofile::app\n")
