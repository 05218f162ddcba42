# What cmake-js leaves to a project on Windows.

# The import library of node.exe, from the list that node-api-headers brings.
if(CMAKE_JS_NODELIB_DEF AND CMAKE_JS_NODELIB_TARGET)
  if(MSVC)
    set(XGENMM_LIB "${CMAKE_AR}")
  else()
    find_program(XGENMM_LIB NAMES llvm-lib lib REQUIRED)
  endif()
  if(NODE_ARCH STREQUAL "arm64")
    set(machine ARM64)
  else()
    set(machine X64)
  endif()
  execute_process(
    COMMAND "${XGENMM_LIB}" /nologo "/def:${CMAKE_JS_NODELIB_DEF}" "/out:${CMAKE_JS_NODELIB_TARGET}" /machine:${machine}
    COMMAND_ERROR_IS_FATAL ANY)
endif()

# cmake-js says in cl's words that node.exe is looked for when it is first called, and then under the name that the
# program really has (Electron's is another). clang's own driver wants them passed on, and passes no library by itself.
if(NOT MSVC)
  string(REPLACE "/DELAYLOAD:NODE.EXE" "" CMAKE_SHARED_LINKER_FLAGS "${CMAKE_SHARED_LINKER_FLAGS}")
  target_link_options(xgenmm PRIVATE "LINKER:/DELAYLOAD:NODE.EXE")
  target_link_libraries(xgenmm PRIVATE delayimp)
endif()
