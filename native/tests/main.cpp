#include <chrono>
#include <cstdio>
#include <cstring>
#include <exception>
#include <vector>

#include "harness.h"

// Longer than a test ought to take.
constexpr double kLongSeconds = 5;

// Whether a test's name contains one of the filters, or begins with one that has ^ before it, if
// there are any.
static bool is_chosen(const char* name, const std::vector<const char*>& filters) {
  for (const char* filter : filters) {
    const bool begins = filter[0] == '^';
    const char* found = std::strstr(name, begins ? filter + 1 : filter);
    if (begins ? found == name : found != nullptr) return true;
  }
  return filters.empty();
}

// native-tests [--part K/N] [FILTER…]: every Nth test from the Kth on, so that processes can share
// them.
int main(int argc, char** argv) {
  int part = 1, parts = 1;
  std::vector<const char*> filters(argv + 1, argv + argc);
  if (argc > 2 && std::strcmp(argv[1], "--part") == 0) {
    if (std::sscanf(argv[2], "%d/%d", &part, &parts) != 2 || parts < 1 || part < 1 ||
        part > parts) {
      std::fprintf(stderr, "Expected --part K/N with K from 1 to N, received %s\n", argv[2]);
      return 2;
    }
    filters.erase(filters.begin(), filters.begin() + 2);
  }
  int passed = 0, failed = 0, index = 0;
  for (const xgenmm::test::Test& test : xgenmm::test::all_tests()) {
    if (!is_chosen(test.name, filters) || index++ % parts != part - 1) continue;
    const auto start = std::chrono::steady_clock::now();
    try {
      test.body();
      ++passed;
    } catch (const std::exception& error) {
      ++failed;
      std::fprintf(stderr, "%s failed: %s\n", test.name, error.what());
    }
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
    if (took.count() > kLongSeconds)
      std::fprintf(stderr, "%s took %.1f s\n", test.name, took.count());
  }
  std::fprintf(stderr, "%d passed, %d failed\n", passed, failed);
  return failed > 0 || passed == 0;
}
