#include "gguf/file.h"

#include <cstring>

#include "base/error.h"
#include "gguf.h"

namespace xgenmm {

namespace {

constexpr uint64_t kMaxKeyLength = 65535;  // GGUF's own limit
// A model has hundreds; millions of them would take many times the memory that the file takes.
constexpr uint64_t kMaxEntries = 65536;

size_t scalar_size(uint32_t type) {
  switch (type) {
    case GGUF_TYPE_UINT8:
    case GGUF_TYPE_INT8:
    case GGUF_TYPE_BOOL:
      return 1;
    case GGUF_TYPE_UINT16:
    case GGUF_TYPE_INT16:
      return 2;
    case GGUF_TYPE_UINT32:
    case GGUF_TYPE_INT32:
    case GGUF_TYPE_FLOAT32:
      return 4;
    case GGUF_TYPE_UINT64:
    case GGUF_TYPE_INT64:
    case GGUF_TYPE_FLOAT64:
      return 8;
    default:
      return 0;
  }
}

template <typename T>
T load(const uint8_t* data) {
  T value;
  std::memcpy(&value, data, sizeof(T));
  return value;
}

std::string type_name(uint32_t type) {
  return type < GGUF_TYPE_COUNT ? gguf_type_name(static_cast<gguf_type>(type))
                                : "type " + std::to_string(type);
}

// Names from a hostile file go into messages: keep those short and printable.
std::string quoted(std::string_view name) {
  std::string result = "\"";
  for (char c : name.substr(0, 80)) result += (c >= 0x20 && c < 0x7f) ? c : '?';
  return result + (name.size() > 80 ? "…\"" : "\"");
}

}  // namespace

// A cursor that never leaves the mapped file.
class GgufFile::Reader {
 public:
  explicit Reader(const GgufFile& file)
      : file_(file), data_(file.mapping_.data()), size_(file.mapping_.size()) {}

  const uint8_t* take(uint64_t count, const char* what) {
    if (count > size_ - position_) file_.fail(std::string("the file ends inside ") + what);
    const uint8_t* result = data_ + position_;
    position_ += static_cast<size_t>(count);
    return result;
  }
  template <typename T>
  T scalar(const char* what) {
    return load<T>(take(sizeof(T), what));
  }
  std::string_view string(const char* what) {
    const uint64_t length = scalar<uint64_t>(what);
    return {reinterpret_cast<const char*>(take(length, what)), static_cast<size_t>(length)};
  }
  size_t position() const { return position_; }
  size_t remaining() const { return size_ - position_; }

 private:
  const GgufFile& file_;
  const uint8_t* data_;
  size_t size_;
  size_t position_ = 0;
};

GgufFile::GgufFile(const std::string& path) : path_(path), mapping_(path) {
  Reader reader(*this);
  if (reader.remaining() < 4 || std::memcmp(mapping_.data(), GGUF_MAGIC, 4) != 0) {
    fail("expected a GGUF file, but its first bytes are not \"GGUF\"");
  }
  reader.take(4, "the header");
  const uint32_t version = reader.scalar<uint32_t>("the header");
  if (version != 2 && version != 3) {
    fail("expected GGUF version 2 or 3, received " + std::to_string(version));
  }
  const uint64_t tensor_count = reader.scalar<uint64_t>("the header");
  const uint64_t value_count = reader.scalar<uint64_t>("the header");
  // The smallest key takes 13 bytes, the smallest tensor entry 24: a larger count is a lie, found
  // before looping over it.
  if (value_count > reader.remaining() / 13 || tensor_count > reader.remaining() / 24) {
    fail("the header promises more entries than the file can hold");
  }
  if (value_count > kMaxEntries || tensor_count > kMaxEntries) {
    fail("expected at most " + std::to_string(kMaxEntries) +
         " keys and as many tensors, received " + std::to_string(value_count) + " and " +
         std::to_string(tensor_count));
  }
  read_values(reader, value_count);
  read_tensors(reader, tensor_count);
}

void GgufFile::read_values(Reader& reader, uint64_t count) {
  for (uint64_t i = 0; i < count; ++i) {
    const size_t begin = reader.position();
    const std::string_view key = reader.string("a key");
    if (key.empty() || key.size() > kMaxKeyLength) fail("a key is empty or too long");
    Value value{reader.scalar<uint32_t>("a value's type"), 0, 1, nullptr};
    const auto skip = [&](uint32_t type, uint64_t elements) {
      if (type == GGUF_TYPE_STRING) {
        if (elements > reader.remaining() / 8)
          fail("key " + quoted(key) + " promises too many strings");
        const size_t start = reader.position();
        for (uint64_t j = 0; j < elements; ++j) reader.string("a string");
        return mapping_.data() + start;
      }
      const size_t size = scalar_size(type);
      if (size == 0) fail("key " + quoted(key) + " has a value of unknown " + type_name(type));
      if (elements > reader.remaining() / size) fail("the file ends inside key " + quoted(key));
      return reader.take(elements * size, "a value");
    };
    if (value.type == GGUF_TYPE_ARRAY) {
      value.element_type = reader.scalar<uint32_t>("an array's type");
      value.count = reader.scalar<uint64_t>("an array's length");
      value.data = skip(value.element_type, value.count);
    } else {
      value.data = skip(value.type, 1);
    }
    if (!values_.emplace(std::string(key), value).second)
      fail("key " + quoted(key) + " appears twice");
    keys_.push_back({std::string(key), begin, reader.position()});
  }
}

void GgufFile::read_tensors(Reader& reader, uint64_t count) {
  const uint32_t alignment = u32(GGUF_KEY_GENERAL_ALIGNMENT, GGUF_DEFAULT_ALIGNMENT);
  // ggml's kernels want 32; more than a page is nobody's layout.
  if (alignment < 32 || alignment > 65536 || (alignment & (alignment - 1)) != 0) {
    fail("expected an alignment that is a power of two from 32 to 65536, received " +
         std::to_string(alignment));
  }
  std::vector<uint64_t> offsets;
  for (uint64_t i = 0; i < count; ++i) {
    const std::string_view name = reader.string("a tensor's name");
    const std::string label = "tensor " + quoted(name);
    if (name.empty() || name.size() >= GGML_MAX_NAME)
      fail(label + " has no name or one that is too long");
    TensorInfo tensor{std::string(name), GGML_TYPE_COUNT, {1, 1, 1, 1}, 0, nullptr, 0};
    const uint32_t dimensions = reader.scalar<uint32_t>("a tensor's shape");
    if (dimensions < 1 || dimensions > GGML_MAX_DIMS) {
      fail(label + " has " + std::to_string(dimensions) + " dimensions, expected 1 to 4");
    }
    tensor.dimensions = dimensions;
    int64_t elements = 1;
    for (uint32_t d = 0; d < dimensions; ++d) {
      const uint64_t extent = reader.scalar<uint64_t>("a tensor's shape");
      if (extent < 1 || extent > static_cast<uint64_t>(INT64_MAX / elements)) {
        fail(label + " has an impossible shape");
      }
      tensor.shape[d] = static_cast<int64_t>(extent);
      elements *= tensor.shape[d];
    }
    const uint32_t type = reader.scalar<uint32_t>("a tensor's type");
    if (type >= GGML_TYPE_COUNT || ggml_blck_size(static_cast<ggml_type>(type)) == 0) {
      fail(label + " has unknown type " + std::to_string(type));
    }
    tensor.type = static_cast<ggml_type>(type);
    const int64_t block = ggml_blck_size(tensor.type);
    if (tensor.shape[0] % block != 0) {
      fail(label + " has rows of " + std::to_string(tensor.shape[0]) + ", not a multiple of " +
           std::to_string(block) + " as " + ggml_type_name(tensor.type) + " needs");
    }
    const uint64_t blocks = static_cast<uint64_t>(elements / block);
    // An impossible size is caught here, before the product can overflow.
    if (blocks > mapping_.size() / ggml_type_size(tensor.type))
      fail(label + " is larger than the file");
    tensor.size = static_cast<size_t>(blocks) * ggml_type_size(tensor.type);
    offsets.push_back(reader.scalar<uint64_t>("a tensor's offset"));
    if (!tensor_index_.emplace(tensor.name, tensors_.size()).second) fail(label + " appears twice");
    tensors_.push_back(std::move(tensor));
  }
  if (count == 0) return;
  const uint64_t start = (uint64_t{reader.position()} + alignment - 1) / alignment * alignment;
  if (start > mapping_.size()) fail("the file ends before its tensor data");
  const uint64_t available = mapping_.size() - start;
  for (size_t i = 0; i < tensors_.size(); ++i) {
    TensorInfo& tensor = tensors_[i];
    const std::string label = "tensor " + quoted(tensor.name);
    if (offsets[i] % alignment != 0)
      fail(label + " is not aligned to " + std::to_string(alignment));
    if (offsets[i] > available || tensor.size > available - offsets[i]) {
      fail(label + " reaches beyond the end of the file");
    }
    tensor.data = mapping_.data() + start + offsets[i];
  }
}

const GgufFile::Value& GgufFile::value(const std::string& key, uint32_t type) const {
  const auto found = values_.find(key);
  if (found == values_.end()) fail("key " + quoted(key) + " is missing");
  if (found->second.type != type) {
    fail("key " + quoted(key) + " must be of type " + type_name(type) + ", received " +
         type_name(found->second.type));
  }
  return found->second;
}

const GgufFile::Value& GgufFile::array(const std::string& key, uint32_t element_type) const {
  const Value& result = value(key, GGUF_TYPE_ARRAY);
  if (result.element_type != element_type) {
    fail("key " + quoted(key) + " must be an array of " + type_name(element_type) +
         ", received one of " + type_name(result.element_type));
  }
  return result;
}

uint32_t GgufFile::u32(const std::string& key) const {
  return load<uint32_t>(value(key, GGUF_TYPE_UINT32).data);
}

uint32_t GgufFile::u32(const std::string& key, uint32_t fallback) const {
  return has(key) ? u32(key) : fallback;
}

float GgufFile::f32(const std::string& key) const {
  return load<float>(value(key, GGUF_TYPE_FLOAT32).data);
}

float GgufFile::f32(const std::string& key, float fallback) const {
  return has(key) ? f32(key) : fallback;
}

bool GgufFile::boolean(const std::string& key, bool fallback) const {
  return has(key) ? *value(key, GGUF_TYPE_BOOL).data != 0 : fallback;
}

std::string GgufFile::string(const std::string& key) const {
  const uint8_t* data = value(key, GGUF_TYPE_STRING).data;
  return {reinterpret_cast<const char*>(data + 8), static_cast<size_t>(load<uint64_t>(data))};
}

std::string GgufFile::string(const std::string& key, const std::string& fallback) const {
  return has(key) ? string(key) : fallback;
}

std::vector<int32_t> GgufFile::i32_array(const std::string& key) const {
  const Value& found = array(key, GGUF_TYPE_INT32);
  std::vector<int32_t> result(static_cast<size_t>(found.count));
  if (!result.empty()) std::memcpy(result.data(), found.data, result.size() * sizeof(int32_t));
  return result;
}

std::vector<float> GgufFile::f32_array(const std::string& key) const {
  const Value& found = array(key, GGUF_TYPE_FLOAT32);
  std::vector<float> result(static_cast<size_t>(found.count));
  if (!result.empty()) std::memcpy(result.data(), found.data, result.size() * sizeof(float));
  return result;
}

std::vector<std::string> GgufFile::string_array(const std::string& key) const {
  const Value& found = array(key, GGUF_TYPE_STRING);
  std::vector<std::string> result;
  result.reserve(static_cast<size_t>(found.count));
  const uint8_t* data = found.data;
  for (uint64_t i = 0; i < found.count; ++i) {
    const size_t length = static_cast<size_t>(load<uint64_t>(data));
    result.emplace_back(reinterpret_cast<const char*>(data + 8), length);
    data += 8 + length;
  }
  return result;
}

const TensorInfo* GgufFile::find_tensor(const std::string& name) const {
  const auto found = tensor_index_.find(name);
  return found == tensor_index_.end() ? nullptr : &tensors_[found->second];
}

void GgufFile::fail(const std::string& what) const {
  throw Error(ErrorCode::kModelInvalid, path_ + ": " + what);
}

}  // namespace xgenmm
