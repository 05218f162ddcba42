#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "ggml.h"
#include "gguf/mapping.h"

namespace xgenmm {

// Where a tensor's bytes lie in a mapped file. Size, bounds and alignment are already checked.
struct TensorInfo {
  std::string name;
  ggml_type type;
  int64_t shape[GGML_MAX_DIMS];  // ggml order, 1 beyond the tensor's own dimensions
  uint32_t dimensions;  // that the file gives
  const uint8_t* data;
  size_t size;  // bytes
};

// Where a key-value pair lies in a file: key, type and value.
struct KeyRange {
  std::string key;
  size_t begin;  // bytes from the file's start
  size_t end;
};

// A GGUF file, mapped and validated: magic, version, counts, lengths, value types, alignment,
// offsets, duplicate names. Nothing is allocated that the file's own bytes do not back. Every fault
// is an Error of kModelInvalid that names it.
class GgufFile {
 public:
  explicit GgufFile(const std::string& path);

  const std::string& path() const { return path_; }
  // Bytes of the whole file.
  size_t size() const { return mapping_.size(); }
  bool has(const std::string& key) const { return values_.count(key) != 0; }
  // In the file's order.
  const std::vector<KeyRange>& keys() const { return keys_; }

  // Typed getters. A missing key or one of another type is kModelInvalid; with a fallback, only
  // another type is.
  uint32_t u32(const std::string& key) const;
  uint32_t u32(const std::string& key, uint32_t fallback) const;
  float f32(const std::string& key) const;
  float f32(const std::string& key, float fallback) const;
  bool boolean(const std::string& key, bool fallback) const;
  std::string string(const std::string& key) const;
  std::string string(const std::string& key, const std::string& fallback) const;
  std::vector<int32_t> i32_array(const std::string& key) const;
  std::vector<float> f32_array(const std::string& key) const;
  std::vector<std::string> string_array(const std::string& key) const;

  const std::vector<TensorInfo>& tensors() const { return tensors_; }
  // nullptr when the file has no such tensor.
  const TensorInfo* find_tensor(const std::string& name) const;
  // Of a tensor's first byte, from the file's start.
  size_t position(const TensorInfo& tensor) const {
    return static_cast<size_t>(tensor.data - mapping_.data());
  }
  // The tensor's bytes will not be needed soon.
  void release(const TensorInfo& tensor) const { mapping_.release(tensor.data, tensor.size); }

  // kModelInvalid with "<path>: <what>".
  [[noreturn]] void fail(const std::string& what) const;

 private:
  struct Value {
    uint32_t type;
    uint32_t element_type;  // of an array
    uint64_t count;  // 1 for a scalar
    const uint8_t* data;  // of the scalar, the string's length field or the first element
  };
  class Reader;

  const Value& value(const std::string& key, uint32_t type) const;
  const Value& array(const std::string& key, uint32_t element_type) const;
  void read_values(Reader& reader, uint64_t count);
  void read_tensors(Reader& reader, uint64_t count);

  std::string path_;
  FileMapping mapping_;
  std::unordered_map<std::string, Value> values_;
  std::vector<KeyRange> keys_;
  std::vector<TensorInfo> tensors_;
  std::unordered_map<std::string, size_t> tensor_index_;
};

}  // namespace xgenmm
