#pragma once

#include <cmath>
#include <sstream>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "base/error.h"

namespace xgenmm::test {

struct Test {
  const char* name;
  void (*body)();
};

inline std::vector<Test>& all_tests() {
  static std::vector<Test> tests;
  return tests;
}

struct Registration {
  Registration(const char* name, void (*body)()) { all_tests().push_back({name, body}); }
};

// Whether a value can be written to a stream.
template <typename T, typename = void>
struct IsPrintable : std::false_type {};
template <typename T>
struct IsPrintable<T, std::void_t<decltype(std::declval<std::ostream&>() << std::declval<T>())>>
    : std::true_type {};

template <typename T>
std::string describe(const T& value) {
  std::ostringstream text;
  text.precision(9);
  if constexpr (IsPrintable<const T&>::value) {
    text << value;
  } else {
    for (const auto& element : value) text << +element << ' ';
  }
  return text.str();
}

// Ends the test.
[[noreturn]] inline void fail(const char* file, int line, const std::string& what) {
  throw std::runtime_error(std::string(file) + ":" + std::to_string(line) + ": " + what);
}

}  // namespace xgenmm::test

#define TEST(name)                                                               \
  static void test_##name();                                                     \
  static const ::xgenmm::test::Registration register_##name(#name, test_##name); \
  static void test_##name()

#define FAIL(what) ::xgenmm::test::fail(__FILE__, __LINE__, what)

#define CHECK(condition)                \
  do {                                  \
    if (!(condition)) FAIL(#condition); \
  } while (false)

#define CHECK_EQ(actual, expected)                                              \
  do {                                                                          \
    const auto actual_ = (actual);                                              \
    const auto expected_ = (expected);                                          \
    if (!(actual_ == expected_)) {                                              \
      FAIL(#actual " is " + ::xgenmm::test::describe(actual_) + ", expected " + \
           ::xgenmm::test::describe(expected_));                                \
    }                                                                           \
  } while (false)

#define CHECK_NEAR(actual, expected, tolerance)                                 \
  do {                                                                          \
    const double actual_ = (actual), expected_ = (expected);                    \
    if (!(std::abs(actual_ - expected_) <= (tolerance))) {                      \
      FAIL(#actual " is " + ::xgenmm::test::describe(actual_) + ", expected " + \
           ::xgenmm::test::describe(expected_) + " within " #tolerance);        \
    }                                                                           \
  } while (false)

#define CHECK_THROWS(error_code, expression)                            \
  do {                                                                  \
    bool thrown_ = false;                                               \
    try {                                                               \
      static_cast<void>(expression);                                    \
    } catch (const ::xgenmm::Error& error) {                            \
      thrown_ = true;                                                   \
      if (error.code() != (error_code))                                 \
        FAIL(#expression ": wrong code, " + std::string(error.what())); \
    }                                                                   \
    if (!thrown_) FAIL(#expression " does not throw");                  \
  } while (false)
