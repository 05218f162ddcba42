#include <cstdio>
#include <cstring>
#include <exception>

#include "harness.h"

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
