#include "text/prompt.h"

#include "harness.h"

namespace xgenmm::test {
namespace {

TEST(prompt_checks_its_parts) {
  const auto image = std::make_shared<const PromptImage>(std::vector<float>(12, 1.0f), 4);
  CHECK_EQ(image->rows, 3);
  CHECK_EQ(Prompt({5, -1, 6}, {image}, 10).ids(), (std::vector<int32_t>{5, -1, -1, -1, 6}));
  CHECK_THROWS(ErrorCode::kInvalidArgument, Prompt({}, {}, 10));
  CHECK_THROWS(ErrorCode::kInvalidArgument, Prompt({10}, {}, 10));
  CHECK_THROWS(ErrorCode::kInvalidArgument, Prompt({-1}, {}, 10));
  CHECK_THROWS(ErrorCode::kInvalidArgument, Prompt({-2}, {image}, 10));
  CHECK_THROWS(ErrorCode::kInvalidArgument, Prompt({INT32_MIN}, {image}, 10));
  CHECK_THROWS(ErrorCode::kInvalidArgument, PromptImage(std::vector<float>(5), 4));
  CHECK_THROWS(ErrorCode::kInvalidArgument, PromptImage({}, 4));
}

}  // namespace
}  // namespace xgenmm::test
