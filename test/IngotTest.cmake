# How tests are registered. Every test is in ctest, one entry a file or a GoogleTest case, so that one
# summary line counts them all.
#
#   ingot_add_gtest(NAME SOURCES… LIBS …)      GoogleTest executable, its cases as NAME.Suite.Case
#   ingot_add_lit_tests(NAME FOLDER)           every *.mlir and *.test below FOLDER as NAME.path.file
#   ingot_add_python_test(NAME SCRIPT ARGS …)  a script; exit code 77 counts as skipped
#   ingot_add_fuzzer(NAME SOURCES… LIBS … CORPUS folder)  libFuzzer target, run for a minute
#
# The sanitizer build prefixes its names with "sanitize." (tools/test runs all builds as one).

if(INGOT_BUILD_FUZZERS)
  set(INGOT_TEST_PREFIX "fuzz.")
elseif(INGOT_SANITIZE)
  set(INGOT_TEST_PREFIX "sanitize.")
else()
  set(INGOT_TEST_PREFIX "")
endif()

# The runtime alone (cmake -S runtime) has GoogleTests only, and needs neither Python nor lit.
if(NOT INGOT_RUNTIME_ALONE)
# The scripts' Python: the environment of tools/setup/install where it exists.
if(EXISTS ${PROJECT_SOURCE_DIR}/.venv/bin/python)
  set(INGOT_PYTHON_DEFAULT ${PROJECT_SOURCE_DIR}/.venv/bin/python)
else()
  find_program(INGOT_PYTHON_DEFAULT python3 REQUIRED)
endif()
set(INGOT_PYTHON ${INGOT_PYTHON_DEFAULT} CACHE FILEPATH "Python with numpy, for the test scripts")

# LLVM's lit and FileCheck live beside its other tools.
set(INGOT_LLVM_TOOLS ${LLVM_TOOLS_BINARY_DIR})
find_program(INGOT_LIT NAMES lit llvm-lit lit.py
  HINTS ${LLVM_TOOLS_BINARY_DIR} ${LLVM_TOOLS_BINARY_DIR}/../build/utils/lit REQUIRED)
endif()

# What a sanitized process needs to know: leaks inside LLVM's own static tables are not ours, and the
# arenas that LLVM's headers poison are shared with its libraries, which do not say when they use them.
set(INGOT_TEST_ENVIRONMENT
  "ASAN_OPTIONS=abort_on_error=0:exitcode=99:detect_stack_use_after_return=1:allow_user_poisoning=0"
  "LSAN_OPTIONS=suppressions=${CMAKE_CURRENT_LIST_DIR}/lsan.supp:print_suppressions=0"
  "UBSAN_OPTIONS=print_stacktrace=1:halt_on_error=1:exitcode=99"
  "PYTHONDONTWRITEBYTECODE=1")

function(ingot_set_test_properties name)
  cmake_parse_arguments(arg "" "TIMEOUT" "" ${ARGN})
  if(NOT arg_TIMEOUT)
    set(arg_TIMEOUT 300)
  endif()
  set_tests_properties(${name} PROPERTIES TIMEOUT ${arg_TIMEOUT} SKIP_RETURN_CODE 77
    ENVIRONMENT "${INGOT_TEST_ENVIRONMENT}")
endfunction()

# What a test needs beyond its libraries is told here, not by target commands after the call: a build
# of the fuzzers has no such target.
function(ingot_add_gtest name)
  cmake_parse_arguments(arg "" "TIMEOUT" "LIBS;SYSTEM_INCLUDES;DEFINITIONS;DEPENDS" ${ARGN})
  if(INGOT_BUILD_FUZZERS)
    return()
  endif()
  if(NOT arg_TIMEOUT)
    set(arg_TIMEOUT 300)
  endif()
  find_package(GTest REQUIRED)
  include(GoogleTest)
  add_executable(${name} ${arg_UNPARSED_ARGUMENTS})
  target_link_libraries(${name} PRIVATE ${arg_LIBS} GTest::gmock GTest::gtest GTest::gtest_main)
  set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/bin/test)
  target_compile_definitions(${name} PRIVATE
    INGOT_TEST_SOURCE_DIR="${CMAKE_CURRENT_FUNCTION_LIST_DIR}"
    INGOT_TEST_BINARY_DIR="${CMAKE_CURRENT_BINARY_DIR}" ${arg_DEFINITIONS})
  target_include_directories(${name} SYSTEM PRIVATE ${arg_SYSTEM_INCLUDES})
  if(arg_DEPENDS)
    add_dependencies(${name} ${arg_DEPENDS})
  endif()
  # PRE_TEST: the cases are listed when ctest runs, so building needs no execution.
  gtest_discover_tests(${name} TEST_PREFIX "${INGOT_TEST_PREFIX}${name}." DISCOVERY_MODE PRE_TEST
    DISCOVERY_TIMEOUT 60
    PROPERTIES TIMEOUT ${arg_TIMEOUT} ENVIRONMENT "${INGOT_TEST_ENVIRONMENT}")
endfunction()

function(ingot_add_lit_tests name folder)
  if(INGOT_BUILD_FUZZERS)
    return()
  endif()
  file(GLOB_RECURSE files CONFIGURE_DEPENDS RELATIVE ${folder} ${folder}/*.mlir ${folder}/*.test)
  foreach(file IN LISTS files)
    if(file MATCHES "Inputs/")
      continue()
    endif()
    string(REGEX REPLACE "\\.(mlir|test)$" "" test ${file})
    string(REPLACE "/" "." test ${test})
    set(test ${INGOT_TEST_PREFIX}${name}.${test})
    # Without the record of times: every lit rewrites that one file, and a lit that reads it while
    # another writes it fails, as does each one after it.
    add_test(NAME ${test}
      COMMAND ${INGOT_LIT} -sv --no-progress-bar --skip-test-time-recording
        --param ingot_site=${PROJECT_BINARY_DIR}/test/lit.site.json ${folder}/${file})
    ingot_set_test_properties(${test})
  endforeach()
endfunction()

function(ingot_add_python_test name script)
  cmake_parse_arguments(arg "" "TIMEOUT" "ARGS" ${ARGN})
  if(INGOT_BUILD_FUZZERS)
    return()
  endif()
  set(test ${INGOT_TEST_PREFIX}${name})
  add_test(NAME ${test} COMMAND ${INGOT_PYTHON} ${script} ${arg_ARGS})
  ingot_set_test_properties(${test} TIMEOUT ${arg_TIMEOUT})
endfunction()

set(INGOT_FUZZ_SECONDS 60 CACHE STRING "How long ctest runs each fuzz target")
function(ingot_add_fuzzer name)
  cmake_parse_arguments(arg "" "CORPUS" "LIBS" ${ARGN})
  if(NOT INGOT_BUILD_FUZZERS)
    return()
  endif()
  add_executable(${name} ${arg_UNPARSED_ARGUMENTS})
  target_link_libraries(${name} PRIVATE ${arg_LIBS} -fsanitize=fuzzer)
  set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/bin/fuzz)
  if(NOT TARGET fuzzers)
    add_custom_target(fuzzers)
  endif()
  add_dependencies(fuzzers ${name})
  # New inputs go to the build folder; the committed corpus (the last folders) is only read.
  set(findings ${CMAKE_CURRENT_BINARY_DIR}/${name}.findings)
  file(MAKE_DIRECTORY ${findings})
  math(EXPR timeout "${INGOT_FUZZ_SECONDS} + 120")
  add_test(NAME fuzz.${name}
    COMMAND ${name} -max_total_time=${INGOT_FUZZ_SECONDS} -timeout=10 -rss_limit_mb=2048
      -error_exitcode=1 -timeout_exitcode=2 -print_final_stats=1 -artifact_prefix=${findings}/
      ${findings} ${arg_CORPUS})
  # Not as other tests: 77 is how libFuzzer ends by default, and must never count as skipped.
  set_tests_properties(fuzz.${name} PROPERTIES TIMEOUT ${timeout}
    ENVIRONMENT "${INGOT_TEST_ENVIRONMENT}")
endfunction()
