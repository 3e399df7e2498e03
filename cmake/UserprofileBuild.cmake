# How every target of the project is compiled, and where its results lie.

set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
set(CMAKE_RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/bin)

# The headers of gRPC, CLI11 and the like cost seconds in each source that sees
# them: so the sources of a target are compiled together, up to this many. What
# they keep to themselves (namespace {}) needs different names within a target.
set(CMAKE_UNITY_BUILD ON CACHE BOOL "Compile sources of a target together")
set(CMAKE_UNITY_BUILD_BATCH_SIZE 16)

set(USERPROFILE_SANITIZE "" CACHE STRING
    "Sanitizers to build with, as for -fsanitize= (\"address,undefined\")")

find_program(CCACHE ccache)
if(CCACHE AND NOT DEFINED CMAKE_CXX_COMPILER_LAUNCHER)
  set(CMAKE_CXX_COMPILER_LAUNCHER ${CCACHE})
endif()

# Warnings and sanitizers are for our own code; generated code links this not.
add_library(userprofile_options INTERFACE)
target_include_directories(userprofile_options INTERFACE ${PROJECT_SOURCE_DIR})
target_compile_options(userprofile_options INTERFACE
  -Wall -Wextra -Wno-unused-parameter
  # g++ 12 sees overlapping copies in its own std::string.
  $<$<CXX_COMPILER_ID:GNU>:-Wno-restrict>
  $<$<CXX_COMPILER_ID:Clang>:-Wthread-safety -Werror=thread-safety>)
if(USERPROFILE_SANITIZE)
  add_compile_options(-fsanitize=${USERPROFILE_SANITIZE}
                      -fno-omit-frame-pointer -fno-sanitize-recover=all)
  add_link_options(-fsanitize=${USERPROFILE_SANITIZE})
endif()
if(USERPROFILE_SANITIZE MATCHES thread)
  include_directories(BEFORE ${PROJECT_SOURCE_DIR}/cmake/tsan)
endif()

# userprofile_library(NAME SOURCES ... LIBRARIES ...)
# A static library of the project: its sources, and what it is linked with.
function(userprofile_library name)
  cmake_parse_arguments(ARG "" "" "SOURCES;LIBRARIES" ${ARGN})
  add_library(${name} STATIC ${ARG_SOURCES})
  target_link_libraries(${name}
    PUBLIC $<BUILD_INTERFACE:userprofile_options> ${ARG_LIBRARIES})
endfunction()

# userprofile_test(NAME SOURCES ... LIBRARIES ... [LABELS ...] [TIMEOUT s])
# One test program, and one test of ctest: its cases share one PostgreSQL, which
# would cost more to start for each than most of them take. The
# target tests_LABEL builds the programs that have this label.
function(userprofile_test name)
  cmake_parse_arguments(ARG "" "TIMEOUT" "SOURCES;LIBRARIES;LABELS" ${ARGN})
  if(NOT ARG_TIMEOUT)
    set(ARG_TIMEOUT 300)
  endif()
  add_executable(${name} ${ARG_SOURCES})
  target_link_libraries(${name} PRIVATE
    userprofile_options ${ARG_LIBRARIES} GTest::gmock GTest::gtest_main)
  # Each test's helpers are its own, and may be called as another's.
  set_target_properties(${name} PROPERTIES UNITY_BUILD OFF
    RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/tests)
  foreach(label IN LISTS ARG_LABELS)
    if(NOT TARGET tests_${label})
      add_custom_target(tests_${label})
    endif()
    add_dependencies(tests_${label} ${name})
  endforeach()
  set(sanitizer_options
    LSAN_OPTIONS=suppressions=${PROJECT_SOURCE_DIR}/tests/lsan.supp
    TSAN_OPTIONS=suppressions=${PROJECT_SOURCE_DIR}/tests/tsan.supp)
  add_test(NAME ${name} COMMAND ${name})
  set_tests_properties(${name} PROPERTIES
    TIMEOUT ${ARG_TIMEOUT} LABELS "${ARG_LABELS}"
    COST ${ARG_TIMEOUT}  # those that may take long begin first
    ENVIRONMENT "${sanitizer_options}")
endfunction()
