# What ggml's CUDA backend needs, each with a sentence of its own where it is missing; included before ggml.
find_package(CUDAToolkit QUIET)
if(NOT CUDAToolkit_FOUND)
  message(FATAL_ERROR "Expected the CUDA toolkit for XGENMM_GPU=cuda, received none: put its nvcc on the PATH or set CUDACXX")
endif()
if(NOT TARGET CUDA::cublas)
  message(FATAL_ERROR "Expected cuBLAS with its headers in the CUDA toolkit, received none: install it (Debian and Ubuntu: "
                      "libcublas-dev-${CUDAToolkit_VERSION_MAJOR}-${CUDAToolkit_VERSION_MINOR} from NVIDIA's repository)")
endif()
if(NOT CMAKE_CUDA_ARCHITECTURES)
  set(CMAKE_CUDA_ARCHITECTURES native)
endif()
if(CMAKE_CUDA_ARCHITECTURES STREQUAL "native" AND CMAKE_VERSION VERSION_LESS 3.24)
  message(FATAL_ERROR "Expected CMake 3.24 or newer to see which GPU is there, received ${CMAKE_VERSION}: name its architecture "
                      "(CMAKE_CUDA_ARCHITECTURES, for example 86)")
endif()
enable_language(CUDA)
if(CMAKE_CUDA_ARCHITECTURES STREQUAL "native" AND NOT CMAKE_CUDA_ARCHITECTURES_NATIVE MATCHES "^[0-9]")
  message(FATAL_ERROR "Expected a GPU whose architecture the build takes over, received none: name one "
                      "(CMAKE_CUDA_ARCHITECTURES, for example 86)")
endif()

# ggml has CUDA turn the graph that was recorded for one computation into the next one's. On an H200 (CUDA 13.0) a picture of
# three tiles behind one of five became garbage so, without an error; and nothing was faster with these graphs.
set(GGML_CUDA_GRAPHS OFF CACHE BOOL "" FORCE)
# One more library that would have to be installed; it serves models that are split between GPUs.
set(GGML_CUDA_NCCL OFF CACHE BOOL "" FORCE)

# The CUDA runtime becomes part of what is linked; cuBLAS and the driver are the machine's own. Called once ggml is there.
function(link_cudart_statically)
  foreach(property LINK_LIBRARIES INTERFACE_LINK_LIBRARIES)
    get_target_property(libraries ggml-cuda ${property})
    string(REPLACE "CUDA::cudart" "CUDA::cudart_static" libraries "${libraries}")
    set_target_properties(ggml-cuda PROPERTIES ${property} "${libraries}")
  endforeach()
endfunction()
