#pragma once

#include <string>
#include <vector>

#include "base/cores.h"

namespace xgenmm {

// What Linux says of these processors, which are the ones that may be used; at least one. `root`:
// the folder that /proc and /sys are in, without a slash at its end; anything may be missing there,
// or be nonsense.
Cores read_linux_cores(const std::string& root, const std::vector<int>& allowed);

}  // namespace xgenmm
