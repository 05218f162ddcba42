#pragma once

#include <optional>
#include <string>

namespace xgenmm {

// What is in a file that the system makes up, which has no size of its own: at most 64 KiB, nothing
// where there is more, or no such file.
std::optional<std::string> read_small_file(const std::string& path);

}  // namespace xgenmm
