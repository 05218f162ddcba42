#include "text/prompt.h"

#include <climits>

#include "base/error.h"
#include "base/sha256.h"

namespace xgenmm {

PromptImage::PromptImage(std::vector<float> values, int width)
    : embeddings(std::move(values)),
      rows(static_cast<int>(embeddings.size() / static_cast<size_t>(width))) {
  if (rows == 0 || embeddings.size() != static_cast<size_t>(rows) * static_cast<size_t>(width)) {
    throw Error(ErrorCode::kInvalidArgument, "expected image embeddings in rows of " +
                                                 std::to_string(width) + ", received " +
                                                 std::to_string(embeddings.size()) + " values");
  }
  hash = std::make_shared<const std::array<uint8_t, 32>>(
      sha256(embeddings.data(), embeddings.size() * sizeof(float)));
}

bool PromptPosition::operator==(const PromptPosition& other) const {
  if (token != other.token || row != other.row) return false;
  return image_hash == other.image_hash ||
         (image_hash && other.image_hash && *image_hash == *other.image_hash);
}

Prompt::Prompt(const std::vector<int32_t>& tokens,
               std::vector<std::shared_ptr<const PromptImage>> images, int vocab_size)
    : images_(std::move(images)) {
  for (const int32_t token : tokens) {
    if (token >= 0) {
      if (token >= vocab_size) {
        throw Error(ErrorCode::kInvalidArgument, "expected token ids below " +
                                                     std::to_string(vocab_size) + ", received " +
                                                     std::to_string(token));
      }
      positions_.push_back({token, -1, nullptr});
      ids_.push_back(token);
      continue;
    }
    const size_t image = static_cast<size_t>(-(int64_t{token} + 1));
    if (image >= images_.size()) {
      throw Error(ErrorCode::kInvalidArgument, "expected " + std::to_string(image + 1) +
                                                   " or more images for the prompt, received " +
                                                   std::to_string(images_.size()));
    }
    if (images_[image]->rows > INT_MAX - length()) {
      throw Error(ErrorCode::kContextOverflow, "the prompt is too long");
    }
    for (int32_t row = 0; row < images_[image]->rows; ++row) {
      positions_.push_back({-1, row, images_[image]->hash});
      ids_.push_back(token);
    }
  }
  if (positions_.empty())
    throw Error(ErrorCode::kInvalidArgument, "expected a prompt, received an empty one");
}

const float* Prompt::image_row(int position) const {
  const PromptImage& image =
      *images_[static_cast<size_t>(-(int64_t{ids_[static_cast<size_t>(position)]} + 1))];
  const size_t width = image.embeddings.size() / static_cast<size_t>(image.rows);
  return image.embeddings.data() + width * static_cast<size_t>((*this)[position].row);
}

}  // namespace xgenmm
