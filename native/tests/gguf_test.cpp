// The loader against files that lie.
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <random>

#include "engine/model.h"
#include "fixture.h"
#include "gguf.h"
#include "gguf/file.h"
#include "harness.h"

namespace xgenmm::test {
namespace {

// Bytes of a GGUF, put together by hand so that they can be wrong.
class Bytes {
 public:
  template <typename T>
  Bytes& number(T value) {
    bytes_.append(reinterpret_cast<const char*>(&value), sizeof(value));
    return *this;
  }
  Bytes& text(const std::string& value) {
    number<uint64_t>(value.size());
    bytes_ += value;
    return *this;
  }
  Bytes& header(uint64_t tensors, uint64_t values, uint32_t version = 3) {
    bytes_ += "GGUF";
    return number(version).number(tensors).number(values);
  }
  Bytes& key_u32(const std::string& key, uint32_t value) {
    return text(key).number<uint32_t>(GGUF_TYPE_UINT32).number(value);
  }
  Bytes& tensor(const std::string& name, std::vector<uint64_t> shape, uint32_t type,
                uint64_t offset) {
    text(name).number(static_cast<uint32_t>(shape.size()));
    for (const uint64_t extent : shape) number(extent);
    return number(type).number(offset);
  }
  Bytes& pad(size_t alignment, size_t more) {
    bytes_.resize((bytes_.size() + alignment - 1) / alignment * alignment + more);
    return *this;
  }
  const std::string& get() const { return bytes_; }

 private:
  std::string bytes_;
};

// A file that goes away with the object.
class TemporaryFile {
 public:
  explicit TemporaryFile(const std::string& bytes) {
    static int count = 0;
    path_ = (std::filesystem::temp_directory_path() /
             ("xgenmm-test-" + std::to_string(std::random_device{}()) + "-" +
              std::to_string(count++) + ".gguf"))
                .string();
    std::ofstream(path_, std::ios::binary)
        .write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  }
  ~TemporaryFile() { std::filesystem::remove(path_); }
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

void check_refused(const Bytes& bytes) {
  const TemporaryFile file(bytes.get());
  CHECK_THROWS(ErrorCode::kModelInvalid, GgufFile(file.path()));
}

TEST(gguf_missing_file) {
  CHECK_THROWS(ErrorCode::kFileNotFound, GgufFile("no such file.gguf"));
  CHECK_THROWS(ErrorCode::kFileNotFound, GgufFile(std::filesystem::temp_directory_path().string()));
  CHECK_THROWS(ErrorCode::kModelInvalid, GgufFile(TemporaryFile("").path()));
}

TEST(gguf_header) {
  check_refused(Bytes().number('G'));
  check_refused(Bytes().header(0, 0, 1));
  check_refused(Bytes().header(0, 0, 4));
  check_refused(Bytes().header(1, 0));
  check_refused(Bytes().header(0, UINT64_MAX));
  check_refused(Bytes().header(UINT64_MAX, 0));
  const TemporaryFile empty(Bytes().header(0, 0).get());
  CHECK(GgufFile(empty.path()).tensors().empty());
}

TEST(gguf_takes_so_many_entries_and_no_more) {
  const auto keys = [](uint64_t count) {
    Bytes bytes;
    bytes.header(0, count);
    for (uint64_t i = 0; i < count; ++i) bytes.key_u32(std::to_string(i), 1);
    return bytes;
  };
  const auto tensors = [](uint64_t count) {
    Bytes bytes;
    bytes.header(count, 0);
    for (uint64_t i = 0; i < count; ++i) bytes.tensor(std::to_string(i), {1}, GGML_TYPE_F32, 0);
    return bytes.pad(32, 32);
  };
  CHECK_EQ(GgufFile(TemporaryFile(keys(65536).get()).path()).keys().size(), size_t{65536});
  CHECK_EQ(GgufFile(TemporaryFile(tensors(65536).get()).path()).tensors().size(), size_t{65536});
  check_refused(keys(65537));
  check_refused(tensors(65537));
}

TEST(gguf_values) {
  check_refused(Bytes().header(0, 1).key_u32("", 1).pad(1, 16));
  check_refused(Bytes().header(0, 2).key_u32("a", 1).key_u32("a", 2));
  check_refused(Bytes().header(0, 1).number(UINT64_MAX).pad(1, 16));
  check_refused(Bytes().header(0, 1).text("a").number<uint32_t>(GGUF_TYPE_COUNT).pad(1, 16));
  check_refused(
      Bytes().header(0, 1).text("a").number<uint32_t>(GGUF_TYPE_STRING).number(uint64_t{1} << 40));
  for (const uint32_t type :
       {GGUF_TYPE_UINT8, GGUF_TYPE_FLOAT64, GGUF_TYPE_STRING, GGUF_TYPE_ARRAY}) {
    check_refused(Bytes()
                      .header(0, 1)
                      .text("a")
                      .number<uint32_t>(GGUF_TYPE_ARRAY)
                      .number(type)
                      .number(UINT64_MAX)
                      .pad(1, 16));
  }
}

TEST(gguf_getters_refuse_other_types) {
  const TemporaryFile temporary(Bytes()
                                    .header(0, 3)
                                    .key_u32("number", 7)
                                    .text("text")
                                    .number<uint32_t>(GGUF_TYPE_STRING)
                                    .text("value")
                                    .text("list")
                                    .number<uint32_t>(GGUF_TYPE_ARRAY)
                                    .number<uint32_t>(GGUF_TYPE_INT32)
                                    .number<uint64_t>(2)
                                    .number<int32_t>(3)
                                    .number<int32_t>(4)
                                    .get());
  const GgufFile file(temporary.path());
  CHECK_EQ(file.u32("number"), 7u);
  CHECK_EQ(file.string("text"), std::string("value"));
  CHECK_EQ(file.i32_array("list"), (std::vector<int32_t>{3, 4}));
  CHECK_EQ(file.u32("absent", 9), 9u);
  CHECK_THROWS(ErrorCode::kModelInvalid, file.u32("absent"));
  CHECK_THROWS(ErrorCode::kModelInvalid, file.u32("text", 1));
  CHECK_THROWS(ErrorCode::kModelInvalid, file.f32("number"));
  CHECK_THROWS(ErrorCode::kModelInvalid, file.string("list"));
  CHECK_THROWS(ErrorCode::kModelInvalid, file.f32_array("list"));
  CHECK_THROWS(ErrorCode::kModelInvalid, file.string_array("list"));
  CHECK_THROWS(ErrorCode::kModelInvalid, file.boolean("number", true));
}

TEST(gguf_tensors) {
  const auto one = [](const std::string& name, std::vector<uint64_t> shape, uint32_t type,
                      uint64_t offset) {
    return Bytes().header(1, 0).tensor(name, std::move(shape), type, offset).pad(32, 256);
  };
  const TemporaryFile good(one("t", {8, 8}, GGML_TYPE_F32, 0).get());
  CHECK_EQ(GgufFile(good.path()).find_tensor("t")->size, size_t{256});
  check_refused(one("t", {8, 9}, GGML_TYPE_F32, 0));
  check_refused(one("t", {8, 8}, GGML_TYPE_F32, 32));
  check_refused(one("t", {8, 4}, GGML_TYPE_F32, 16));
  check_refused(one("t", {8, 8}, GGML_TYPE_F32, UINT64_MAX - 31));
  check_refused(one("t", {}, GGML_TYPE_F32, 0));
  check_refused(one("t", {1, 1, 1, 1, 1}, GGML_TYPE_F32, 0));
  check_refused(one("t", {0, 8}, GGML_TYPE_F32, 0));
  check_refused(one("t", {uint64_t{1} << 32, uint64_t{1} << 32}, GGML_TYPE_F32, 0));
  check_refused(one("t", {UINT64_MAX}, GGML_TYPE_F32, 0));
  check_refused(one("t", {8, 8}, GGML_TYPE_COUNT, 0));
  check_refused(one("t", {8, 8}, 4, 0));  // a type that ggml has removed
  check_refused(one("t", {8, 8}, GGML_TYPE_Q8_0, 0));
  check_refused(one("", {8, 8}, GGML_TYPE_F32, 0));
  check_refused(one(std::string(64, 'x'), {8, 8}, GGML_TYPE_F32, 0));
  check_refused(Bytes()
                    .header(2, 0)
                    .tensor("t", {8}, GGML_TYPE_F32, 0)
                    .tensor("t", {8}, GGML_TYPE_F32, 32)
                    .pad(32, 64));
  for (const uint32_t alignment : {0u, 1u, 16u, 33u, 1u << 31}) {
    check_refused(Bytes()
                      .header(1, 1)
                      .key_u32("general.alignment", alignment)
                      .tensor("t", {8}, GGML_TYPE_F32, 0)
                      .pad(32, 64));
  }
}

// Every truncation and many flipped bytes of a real file load or are refused with a code; the
// sanitizers watch.
TEST(gguf_mutations) {
  const std::string bytes = read_bytes(model_path("tiny-f16.gguf"));
  // Everything in front of the tensor data matters most; it takes some 50 KiB.
  const size_t front = 50000;
  std::mt19937 random(1);
  int loaded = 0, refused = 0;
  const auto attempt = [&](const std::string& mutated) {
    const TemporaryFile file(mutated);
    LoadOptions options;
    options.text_path = file.path();
    options.device = "cpu";
    options.threads = 1;
    options.context_size = 64;
    try {
      const Model model(options, [](double) {});
      ++loaded;
    } catch (const Error&) {
      ++refused;
    }
  };
  for (int i = 0; i < 60; ++i) attempt(bytes.substr(0, random() % bytes.size()));
  CHECK_EQ(loaded, 0);
  for (int i = 0; i < 240; ++i) {
    std::string mutated = bytes;
    for (int flips = 1 + static_cast<int>(random() % 3); flips > 0; --flips) {
      mutated[random() % front] = static_cast<char>(random());
    }
    attempt(mutated);
  }
  CHECK(loaded > 0 && refused > 100);
}

}  // namespace
}  // namespace xgenmm::test
