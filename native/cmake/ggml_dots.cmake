# ggml's own dot products, for types of weights that no kernel of ours knows, compiled once more for processors that
# have more than the least, each function under its name with the set's behind it (native/core/kernels/ggml_dots.cpp).
set(ggml_dots)

function(add_ggml_dots set architecture options)
  string(TOUPPER "XGENMM_${set}" known)
  if(NOT ${known})
    return()
  endif()
  set(folder "${GGML_SOURCE_DIR}/src/ggml-cpu")
  set(source "${folder}/arch/${architecture}/quants.c")
  file(STRINGS "${source}" functions REGEX "^void (ggml_vec_dot|quantize_row)_[A-Za-z0-9_]+\\(")
  list(TRANSFORM functions REPLACE "^void ([A-Za-z0-9_]+).*" "\\1=\\1_${set}")
  add_library(ggml-dots-${set} OBJECT EXCLUDE_FROM_ALL "${source}")
  target_include_directories(ggml-dots-${set} PRIVATE
    "${folder}" "${GGML_SOURCE_DIR}/src" "${GGML_SOURCE_DIR}/include")
  target_compile_definitions(ggml-dots-${set} PRIVATE ${functions})
  target_compile_options(ggml-dots-${set} PRIVATE ${options} -w)
  if(XGENMM_SANITIZE)
    # For some types ggml shifts into the sign bit.
    target_compile_options(ggml-dots-${set} PRIVATE -fno-sanitize=shift)
  endif()
  set(ggml_dots ${ggml_dots} $<TARGET_OBJECTS:ggml-dots-${set}> PARENT_SCOPE)
endfunction()

add_ggml_dots(sse42 x86 "${sse42}")
add_ggml_dots(avx2 x86 "${avx2}")
add_ggml_dots(dotprod arm "${dotprod}")
