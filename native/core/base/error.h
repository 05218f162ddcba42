#pragma once

#include <stdexcept>
#include <string>

namespace xgenmm {

// The closed set of failures. napi/ maps each to the ErrorCode of the same name in lib/errors.ts.
enum class ErrorCode {
  kFileNotFound,
  kModelInvalid,
  kModelUnsupported,
  kOutOfMemory,
  kDeviceUnavailable,
  kInvalidArgument,
  kImageLimit,
  kContextOverflow,
  kBusy,
  kDisposed,
  kInternal,
};

class Error : public std::runtime_error {
 public:
  Error(ErrorCode code, const std::string& message) : std::runtime_error(message), code_(code) {}
  ErrorCode code() const { return code_; }

 private:
  ErrorCode code_;
};

}  // namespace xgenmm
