#include <chrono>
#include <cstdio>
#include <cstring>
#include <exception>

#include "harness.h"

// Longer than a test ought to take.
constexpr double kLongSeconds = 5;

// Whether a test's name contains one of the arguments, if there are any.
static bool is_chosen(const char* name, int argc, char** argv) {
  for (int i = 1; i < argc; ++i) {
    if (std::strstr(name, argv[i]) != nullptr) return true;
  }
  return argc == 1;
}

int main(int argc, char** argv) {
  int passed = 0, failed = 0;
  for (const xgenmm::test::Test& test : xgenmm::test::all_tests()) {
    if (!is_chosen(test.name, argc, argv)) continue;
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
