#pragma once

#include <string>

namespace xgenmm {

// Whether a name is among `names`, which are separated by commas; nullptr: there are none.
inline bool lists_name(const char* names, const std::string& name) {
  return names != nullptr &&
         ("," + std::string(names) + ",").find("," + name + ",") != std::string::npos;
}

}  // namespace xgenmm
