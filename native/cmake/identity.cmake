# What an addon says it is, in one string that can be found in the file as well: the package's version and the GPU.
set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS package.json)
file(STRINGS package.json version_line REGEX "^ *\"version\":" LIMIT_COUNT 1)
string(REGEX REPLACE ".*: *\"([^\"]*)\".*" "\\1" version "${version_line}")
if(XGENMM_GPU)
  set(computes_on ${XGENMM_GPU})
else()
  set(computes_on cpu)
endif()
set_source_files_properties(native/napi/addon.cpp PROPERTIES
                            COMPILE_DEFINITIONS "XGENMM_IDENTITY=\"xgen-mm ${version} ${computes_on}\"")
