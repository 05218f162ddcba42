#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

namespace xgenmm {

// A whole file mapped read-only. Throws kFileNotFound when it cannot be opened, kModelInvalid when
// it is empty. A file that another program truncates while it is mapped faults on access, as with
// every mapped file.
class FileMapping {
 public:
  // path: UTF-8.
  explicit FileMapping(const std::string& path);
  ~FileMapping();
  FileMapping(const FileMapping&) = delete;
  FileMapping& operator=(const FileMapping&) = delete;

  const uint8_t* data() const { return data_; }
  size_t size() const { return size_; }
  // Lets the system take back the pages that lie within; they are read anew when they are touched.
  void release(const uint8_t* data, size_t size) const;

 private:
  const uint8_t* data_ = nullptr;
  size_t size_ = 0;
};

}  // namespace xgenmm
