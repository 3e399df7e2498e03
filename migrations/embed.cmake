# cmake -DOUTPUT=embedded.cc "-DMIGRATIONS=FILE;..." -P embed.cmake
# Writes the source of migrations/embedded.h: every byte of every file, escaped,
# so that no text in a migration can end a literal.

cmake_minimum_required(VERSION 3.25)

set(entries "")
set(previous 0)
list(SORT MIGRATIONS)
foreach(file IN LISTS MIGRATIONS)
  get_filename_component(filename ${file} NAME)
  if(NOT filename MATCHES "^0*([0-9]+)_([a-z0-9_]+)([.]contract)?[.]sql$")
    message(FATAL_ERROR "${file}: a migration is named NNN_name.sql or "
                        "NNN_name.contract.sql")
  endif()
  set(version ${CMAKE_MATCH_1})
  set(name ${CMAKE_MATCH_2})
  set(kind kTransaction)
  if(CMAKE_MATCH_3)
    set(kind kContract)
  endif()
  if(NOT version GREATER previous)
    message(FATAL_ERROR "${file}: its number is taken or out of order")
  endif()
  set(previous ${version})

  file(READ ${file} bytes HEX)
  file(SHA256 ${file} sha256)
  file(STRINGS ${file} was REGEX "^-- was:")
  if(was)
    string(SUBSTRING "${was}" 8 -1 sha256)
    string(LENGTH "${sha256}" digits)
    if(NOT was MATCHES "^-- was: [0-9a-f]+$" OR NOT digits EQUAL 64)
      message(FATAL_ERROR "${file}: a checksum that it had is 64 digits")
    endif()
  endif()
  string(REGEX REPLACE "(..)" "\\\\x\\1" literal "${bytes}")
  string(LENGTH "${bytes}" digits)
  math(EXPR size "${digits} / 2")
  string(APPEND entries
         "    {${version}, \"${name}\",\n"
         "     \"${sha256}\",\n"
         "     absl::string_view(\n"
         "     \"${literal}\", ${size}),\n"
         "     Kind::${kind}},\n")
endforeach()

file(WRITE ${OUTPUT}
"// Generated from migrations/versions by migrations/embed.cmake.
#include \"migrations/embedded.h\"

namespace userprofile::migrations {

absl::Span<const Migration> Embedded() {
  static constexpr Migration kMigrations[] = {
${entries}  };
  return kMigrations;
}

}  // namespace userprofile::migrations
")
