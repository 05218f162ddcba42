#pragma once

#include <optional>
#include <string_view>
#include <utility>
#include <vector>

namespace xgenmm {

// Numbers of processors, as Linux writes them: 0-3,8,10-11.
class CpuList {
 public:
  // Nothing where the text is anything else.
  static std::optional<CpuList> parse(std::string_view text);

  bool empty() const { return ranges_.empty(); }
  bool contains(int processor) const;
  // The lowest number; not of an empty list.
  int first() const;
  int size() const;

 private:
  std::vector<std::pair<int, int>> ranges_;  // first and last, rising, apart
};

}  // namespace xgenmm
