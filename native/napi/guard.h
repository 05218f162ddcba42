#pragma once

#include <napi.h>

#include <new>

#include "convert.h"

namespace xgenmm {

// The one place where C++ failures become JavaScript errors with a code.
template <typename Body>
auto guarded(Napi::Env env, Body body) -> decltype(body()) {
  const auto coded = [&](ErrorCode code, const std::string& message) {
    Napi::Error error = Napi::Error::New(env, message);
    error.Set("code", Napi::String::New(env, error_code_name(code)));
    return error;
  };
  try {
    return body();
  } catch (const Napi::Error&) {
    throw;
  } catch (const Error& error) {
    throw coded(error.code(), error.what());
  } catch (const std::bad_alloc&) {
    throw coded(ErrorCode::kOutOfMemory, "memory ran out");
  } catch (const std::exception& error) {
    throw coded(ErrorCode::kInternal, error.what());
  } catch (...) {
    throw coded(ErrorCode::kInternal, "an unknown exception");
  }
}

}  // namespace xgenmm
