#include "gguf/mapping.h"

#ifdef _WIN32
#include <windows.h>
#else
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#endif

#include "base/error.h"

namespace xgenmm {

namespace {

[[noreturn]] void throw_not_found(const std::string& path, const std::string& reason) {
  throw Error(ErrorCode::kFileNotFound,
              "expected a readable model file, but \"" + path + "\" cannot be opened: " + reason);
}

[[noreturn]] void throw_empty(const std::string& path) {
  throw Error(ErrorCode::kModelInvalid, "expected a GGUF file, but \"" + path + "\" is empty");
}

}  // namespace

#ifdef _WIN32

FileMapping::FileMapping(const std::string& path) {
  const auto reason = [] { return "Windows error " + std::to_string(GetLastError()); };
  const int length = MultiByteToWideChar(CP_UTF8, 0, path.c_str(), -1, nullptr, 0);
  std::wstring wide(static_cast<size_t>(length > 0 ? length : 1), L'\0');
  MultiByteToWideChar(CP_UTF8, 0, path.c_str(), -1, wide.data(), length);
  const HANDLE file = CreateFileW(wide.c_str(), GENERIC_READ, FILE_SHARE_READ | FILE_SHARE_DELETE,
                                  nullptr, OPEN_EXISTING, FILE_ATTRIBUTE_NORMAL, nullptr);
  if (file == INVALID_HANDLE_VALUE) throw_not_found(path, reason());
  LARGE_INTEGER size;
  if (!GetFileSizeEx(file, &size) || size.QuadPart == 0) {
    CloseHandle(file);
    throw_empty(path);
  }
  const HANDLE mapping = CreateFileMappingW(file, nullptr, PAGE_READONLY, 0, 0, nullptr);
  CloseHandle(file);
  if (mapping == nullptr) throw_not_found(path, reason());
  const void* view = MapViewOfFile(mapping, FILE_MAP_READ, 0, 0, 0);
  CloseHandle(mapping);
  if (view == nullptr) throw_not_found(path, reason());
  data_ = static_cast<const uint8_t*>(view);
  size_ = static_cast<size_t>(size.QuadPart);
}

FileMapping::~FileMapping() {
  UnmapViewOfFile(data_);
}

void FileMapping::release(const uint8_t* data, size_t size) const {
  // Unlocking pages that are not locked takes them out of the working set.
  VirtualUnlock(const_cast<uint8_t*>(data), size);
}

#else

FileMapping::FileMapping(const std::string& path) {
  // Without O_NONBLOCK opening a pipe would wait for its other end.
  const int file = open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (file < 0) throw_not_found(path, std::strerror(errno));
  struct stat status;
  if (fstat(file, &status) != 0 || !S_ISREG(status.st_mode)) {
    close(file);
    throw_not_found(path, "not a regular file");
  }
  if (status.st_size == 0) {
    close(file);
    throw_empty(path);
  }
  const size_t size = static_cast<size_t>(status.st_size);
  void* view = mmap(nullptr, size, PROT_READ, MAP_PRIVATE, file, 0);
  const int failure = errno;
  close(file);
  if (view == MAP_FAILED) throw_not_found(path, std::strerror(failure));
  data_ = static_cast<const uint8_t*>(view);
  size_ = size;
}

FileMapping::~FileMapping() {
  munmap(const_cast<uint8_t*>(data_), size_);
}

void FileMapping::release(const uint8_t* data, size_t size) const {
  const size_t page = static_cast<size_t>(sysconf(_SC_PAGESIZE));
  const size_t first = (static_cast<size_t>(data - data_) + page - 1) / page * page;
  const size_t last =
      static_cast<size_t>(data - data_ + static_cast<ptrdiff_t>(size)) / page * page;
  if (first < last) madvise(const_cast<uint8_t*>(data_) + first, last - first, MADV_DONTNEED);
}

#endif

}  // namespace xgenmm
