#include <cstdio>
#include <cstring>
#include <exception>

#include "harness.h"

// Runs every test whose name contains the first argument, or all.
int main(int argc, char** argv) {
  const char* filter = argc > 1 ? argv[1] : "";
  int passed = 0, failed = 0;
  for (const xgenmm::test::Test& test : xgenmm::test::all_tests()) {
    if (std::strstr(test.name, filter) == nullptr) continue;
    try {
      test.body();
      ++passed;
    } catch (const std::exception& error) {
      ++failed;
      std::fprintf(stderr, "%s failed: %s\n", test.name, error.what());
    }
  }
  std::fprintf(stderr, "%d passed, %d failed\n", passed, failed);
  return failed > 0 || passed == 0;
}
