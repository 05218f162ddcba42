#pragma once

#include <string>

namespace xgenmm {

// The processors whose time the control groups of this process grant it, as a container's limit
// does: rounded down, but at least 1; 0 where there is no limit. `root`: the folder that /proc and
// /sys are in, without a slash at its end.
//
// Rounded down because a group that has used up its time stands still as a whole, the event loop
// included, until the next period begins.
int read_cpu_quota(const std::string& root);

}  // namespace xgenmm
