#pragma once

#include <string>
#include <vector>

namespace xgenmm {

// Watches an answer for strings that end it, and holds back text that may be the beginning of one.
class StopStrings {
 public:
  explicit StopStrings(std::vector<std::string> stops) : stops_(std::move(stops)) {}

  // Returns the text that is safe to show. Once a stop string is complete, everything from it on is
  // dropped.
  std::string push(const std::string& text);
  // What was held back, when the answer ends otherwise.
  std::string flush();
  bool stopped() const { return stopped_; }

 private:
  std::vector<std::string> stops_;
  std::string held_;
  bool stopped_ = false;
};

}  // namespace xgenmm
