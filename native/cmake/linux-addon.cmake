# Nothing but what Node.js asks for can be seen from outside, so that no other addon of the process is bound to what is in
# this one, nor this one to what is in others, which may have other versions of ggml and of the C++ library.
set(exports "${CMAKE_SOURCE_DIR}/native/napi/exports.map")
target_link_options(xgenmm PRIVATE "LINKER:--version-script=${exports}")
set_target_properties(xgenmm PROPERTIES LINK_DEPENDS "${exports}")

# Then no libstdc++ need be installed. Some distributions have the static one in a package of its own.
set(static_runtime -static-libstdc++ -static-libgcc)
set(CMAKE_REQUIRED_LINK_OPTIONS ${static_runtime})
check_cxx_source_compiles("
#include <iostream>
int main() { std::cout << 1; }" XGENMM_STATIC_RUNTIME)
unset(CMAKE_REQUIRED_LINK_OPTIONS)
if(XGENMM_STATIC_RUNTIME)
  target_link_options(xgenmm PRIVATE ${static_runtime})
endif()
