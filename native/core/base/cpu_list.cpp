#include "base/cpu_list.h"

#include <algorithm>
#include <charconv>
#include <system_error>

namespace xgenmm {

namespace {

// More than any kernel is built for.
constexpr int kMaxProcessor = 1 << 16;

// Takes a number from the front.
bool take_number(std::string_view& text, int& number) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || number < 0 || number > kMaxProcessor) return false;
  text.remove_prefix(static_cast<size_t>(end - text.data()));
  return true;
}

bool take_character(std::string_view& text, char character) {
  if (text.empty() || text.front() != character) return false;
  text.remove_prefix(1);
  return true;
}

}  // namespace

std::optional<CpuList> CpuList::parse(std::string_view text) {
  if (!text.empty() && text.back() == '\n') text.remove_suffix(1);
  CpuList list;
  if (text.empty()) return list;
  int least = 0;
  do {
    int first = 0;
    if (!take_number(text, first) || first < least) return std::nullopt;
    int last = first;
    if (take_character(text, '-') && (!take_number(text, last) || last < first)) {
      return std::nullopt;
    }
    list.ranges_.emplace_back(first, last);
    least = last + 1;
  } while (take_character(text, ','));
  if (!text.empty()) return std::nullopt;
  return list;
}

bool CpuList::contains(int processor) const {
  return std::any_of(ranges_.begin(), ranges_.end(), [&](const std::pair<int, int>& range) {
    return range.first <= processor && processor <= range.second;
  });
}

int CpuList::first() const {
  return ranges_.front().first;
}

int CpuList::size() const {
  int size = 0;
  for (const auto& [first, last] : ranges_) size += last - first + 1;
  return size;
}

}  // namespace xgenmm
