# What scripts/gpu-check measures with: a program that writes a model, one that runs it, and, given LLAMA_CPP_SOURCE_DIR, llama.cpp's
# llama-bench over the very same ggml.
foreach(program random_model gpu_speed)
  string(REPLACE "_" "-" target ${program})
  add_executable(${target} EXCLUDE_FROM_ALL native/tests/speed/${program}.cpp)
  set_target_properties(${target} PROPERTIES RUNTIME_OUTPUT_DIRECTORY "${CMAKE_BINARY_DIR}")
  target_compile_options(${target} PRIVATE ${warnings})
  target_link_libraries(${target} PRIVATE xgenmm-core)
endforeach()

set(LLAMA_CPP_SOURCE_DIR "" CACHE PATH "llama.cpp's source folder, for its llama-bench")
if(LLAMA_CPP_SOURCE_DIR)
  set(LLAMA_BUILD_COMMON ON)
  set(LLAMA_OPENSSL OFF)
  # It takes the target ggml that there is.
  add_subdirectory("${LLAMA_CPP_SOURCE_DIR}" llama.cpp EXCLUDE_FROM_ALL)
  add_subdirectory("${LLAMA_CPP_SOURCE_DIR}/tools/llama-bench" llama.cpp/tools/llama-bench EXCLUDE_FROM_ALL)
  set_target_properties(llama-bench PROPERTIES RUNTIME_OUTPUT_DIRECTORY "${CMAKE_BINARY_DIR}")
endif()
