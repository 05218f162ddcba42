#include "text/tokenizer.h"

#include <algorithm>
#include <functional>
#include <queue>
#include <utility>

#include "base/error.h"
#include "base/utf8.h"

namespace xgenmm {
namespace {

constexpr std::string_view kUnderline = "\xE2\x96\x81";  // U+2581, SentencePiece's space
constexpr int32_t kNoToken = INT32_MIN;

// What Python's str.lstrip removes.
bool is_whitespace(char32_t c) {
  return (c >= 0x09 && c <= 0x0D) || (c >= 0x1C && c <= 0x20) || c == 0x85 || c == 0xA0 ||
         c == 0x1680 || (c >= 0x2000 && c <= 0x200A) || c == 0x2028 || c == 0x2029 || c == 0x202F ||
         c == 0x205F || c == 0x3000;
}

void strip_left(std::string& text) {
  std::string_view rest = text;
  while (!rest.empty()) {
    const Utf8Step step = next_utf8(rest);
    if (!is_whitespace(step.character)) break;
    rest.remove_prefix(step.length);
  }
  text.erase(0, text.size() - rest.size());
}

std::string replace_all(std::string_view text, std::string_view from, std::string_view to) {
  std::string out;
  out.reserve(text.size());
  for (size_t begin = 0;;) {
    const size_t end = text.find(from, begin);
    out.append(text.substr(begin, end - begin));
    if (end == std::string_view::npos) return out;
    out.append(to);
    begin = end + from.size();
  }
}

// A piece of the text while it is being merged.
struct Symbol {
  size_t begin;
  size_t length;  // 0 once it belongs to the symbol before it
  size_t previous;
  size_t next;
  int32_t id;  // kNoToken for a character
};

// Two neighbouring symbols that form a piece of `length` bytes.
struct Merge {
  float score;
  int32_t id;
  size_t left;
  size_t length;

  // The best score is merged first, of equals the leftmost.
  bool operator<(const Merge& other) const {
    return score != other.score ? score < other.score : left > other.left;
  }
};

}  // namespace

Tokenizer::Tokenizer(Vocabulary vocabulary) : vocabulary_(std::move(vocabulary)) {
  check_vocabulary(vocabulary_);
  bytes_.fill(vocabulary_.unk);
  pieces_.reserve(vocabulary_.tokens.size());
  for (size_t i = 0; i < vocabulary_.tokens.size(); ++i) {
    const std::string& text = vocabulary_.tokens[i];
    const int32_t id = static_cast<int32_t>(i);
    if (vocabulary_.types[i] == TokenType::kByte) {
      bytes_[byte_value(text)] = id;
    } else if (vocabulary_.types[i] == TokenType::kNormal && !text.empty()) {
      pieces_[text] = id;
      longest_piece_ = std::max(longest_piece_, text.size());
    }
  }
  index_added();
  rstrip_.insert(vocabulary_.rstrip.begin(), vocabulary_.rstrip.end());
  named_ = {vocabulary_.bos,
            vocabulary_.eos,
            vocabulary_.unk,
            vocabulary_.pad,
            vocabulary_.image_id,
            find_added("<image placeholder>"),
            find_added("<|endofchunk|>")};
}

void Tokenizer::index_added() {
  std::unordered_map<std::string_view, int32_t> ids;
  for (size_t i = 0; i < vocabulary_.tokens.size(); ++i) {
    const std::string& text = vocabulary_.tokens[i];
    if (is_added(vocabulary_.types[i]) && !text.empty()) ids[text] = static_cast<int32_t>(i);
  }
  for (const auto& [text, id] : ids) {
    added_.push_back({text, id, -1});
    begins_added_[static_cast<uint8_t>(text[0])] = true;
  }
  std::sort(added_.begin(), added_.end(),
            [](const Added& a, const Added& b) { return a.text < b.text; });
  for (size_t i = 1; i < added_.size(); ++i) {
    int parent = static_cast<int>(i) - 1;
    while (parent >= 0 &&
           added_[i].text.substr(0, added_[parent].text.size()) != added_[parent].text) {
      parent = added_[parent].parent;
    }
    added_[i].parent = parent;
  }
}

// The longest added token that `text` begins with, or nullptr. All of those are the greatest token
// not above `text` or its ancestors.
const Tokenizer::Added* Tokenizer::match_added(std::string_view text) const {
  if (!begins_added_[static_cast<uint8_t>(text[0])]) return nullptr;
  const auto above =
      std::upper_bound(added_.begin(), added_.end(), text,
                       [](std::string_view t, const Added& a) { return t < a.text; });
  int i = static_cast<int>(above - added_.begin()) - 1;
  while (i >= 0 && text.substr(0, added_[i].text.size()) != added_[i].text) i = added_[i].parent;
  return i < 0 ? nullptr : &added_[i];
}

int32_t Tokenizer::find_added(std::string_view text) const {
  if (text.empty()) return -1;
  const Added* added = match_added(text);
  return added != nullptr && added->text == text ? added->id : -1;
}

void Tokenizer::cut_text(std::string text, bool parse_special, std::vector<Run>& runs) const {
  if (vocabulary_.style == TokenizerStyle::kSlow) text = replace_all(text, kUnderline, " ");
  size_t begin = 0;  // of what belongs to no run yet
  for (size_t i = 0; parse_special && i < text.size();) {
    const Added* added = match_added(std::string_view(text).substr(i));
    if (added == nullptr) {
      ++i;
      continue;
    }
    runs.back().text.append(text, begin, i - begin);
    runs.back().token = added->id;
    runs.push_back({"", kNoToken});
    begin = i += added->text.size();
  }
  runs.back().text.append(text, begin);
}

// The prompt as alternating texts, possibly empty, and tokens; the last run has no token.
std::vector<Tokenizer::Run> Tokenizer::cut(const std::vector<Segment>& segments,
                                           bool parse_special) const {
  std::vector<Run> runs = {{"", kNoToken}};
  int32_t images = 0;
  std::string text;
  for (const Segment& segment : segments) {
    if (segment.kind == Segment::Kind::kText) {
      text += segment.text;
      continue;
    }
    cut_text(std::exchange(text, {}), parse_special, runs);
    if (segment.kind == Segment::Kind::kImage) {
      runs.back().token = -1 - images++;
    } else {
      const int32_t id = find_added(segment.text);
      if (id < 0) {
        throw Error(
            ErrorCode::kInvalidArgument,
            "expected one of this model's special tokens, received \"" + segment.text + "\"");
      }
      runs.back().token = id;
    }
    runs.push_back({"", kNoToken});
  }
  cut_text(std::move(text), parse_special, runs);
  for (size_t i = 1; i < runs.size(); ++i) {
    if (rstrip_.count(runs[i - 1].token) != 0) strip_left(runs[i].text);
  }
  return runs;
}

std::vector<int32_t> Tokenizer::encode(const std::vector<Segment>& segments, bool parse_special,
                                       bool continuation) const {
  const bool fast = vocabulary_.style == TokenizerStyle::kFast;
  std::vector<Run> runs = cut(segments, parse_special);
  Run& first = runs[0];
  // In the slow style a lone prefix vanishes before a picture and the named tokens, not before
  // <|user|> and its like.
  const bool keeps_prefix =
      !first.text.empty() || (first.token >= 0 && named_.count(first.token) == 0);
  if (!fast && !continuation && keeps_prefix) first.text.insert(0, kUnderline);

  std::vector<int32_t> ids;
  if (vocabulary_.add_bos && !continuation) ids.push_back(vocabulary_.bos);
  for (Run& run : runs) {
    if (fast && !run.text.empty()) run.text.insert(0, kUnderline);
    append_pieces(replace_all(run.text, " ", kUnderline), ids);
    if (run.token != kNoToken) ids.push_back(run.token);
  }
  return ids;
}

// Merges the best pair of neighbours until no two form a piece; what is no piece then becomes
// bytes.
void Tokenizer::append_pieces(const std::string& text, std::vector<int32_t>& ids) const {
  const std::string_view view = text;
  std::vector<Symbol> symbols;
  for (size_t i = 0; i < view.size();) {
    const size_t length = next_utf8(view.substr(i)).length;
    symbols.push_back({i, length, symbols.size() - 1, symbols.size() + 1, kNoToken});
    i += length;
  }

  std::vector<Merge> found;
  const auto find_merge = [&](size_t left, Merge& merge) {
    const size_t right = symbols[left].next;
    if (right >= symbols.size()) return false;
    const size_t length = symbols[left].length + symbols[right].length;
    if (length > longest_piece_) return false;
    const auto piece = pieces_.find(view.substr(symbols[left].begin, length));
    if (piece == pieces_.end()) return false;
    merge = {vocabulary_.scores[piece->second], piece->second, left, length};
    return true;
  };
  Merge merge;
  for (size_t i = 0; i < symbols.size(); ++i) {
    if (find_merge(i, merge)) found.push_back(merge);
  }
  std::priority_queue<Merge> merges(std::less<Merge>(), std::move(found));
  while (!merges.empty()) {
    const Merge best = merges.top();
    merges.pop();
    Symbol& left = symbols[best.left];
    // Either side may have been merged otherwise since.
    if (left.length == 0 || left.next >= symbols.size() ||
        left.length + symbols[left.next].length != best.length) {
      continue;
    }
    symbols[left.next].length = 0;
    left.length = best.length;
    left.id = best.id;
    left.next = symbols[left.next].next;
    if (left.next < symbols.size()) symbols[left.next].previous = best.left;
    if (find_merge(best.left, merge)) merges.push(merge);
    if (best.left > 0 && find_merge(left.previous, merge)) merges.push(merge);
  }

  for (const Symbol& symbol : symbols) {
    if (symbol.length == 0) continue;
    if (symbol.id != kNoToken) {
      ids.push_back(symbol.id);
      continue;
    }
    const std::string_view character = view.substr(symbol.begin, symbol.length);
    const auto piece = pieces_.find(character);
    if (piece != pieces_.end()) {
      ids.push_back(piece->second);
    } else {
      for (const char byte : character) ids.push_back(bytes_[static_cast<uint8_t>(byte)]);
    }
  }
}

std::string Tokenizer::decode(const int32_t* tokens, size_t count) const {
  Detokenizer detokenizer(*this);
  std::string bytes;
  for (size_t i = 0; i < count; ++i) bytes += detokenizer.push(tokens[i]);
  return bytes;
}

std::string Detokenizer::push(int32_t token) {
  const Vocabulary& vocabulary = tokenizer_.vocabulary_;
  if (token >= static_cast<int64_t>(vocabulary.tokens.size())) {
    throw Error(ErrorCode::kInvalidArgument, "expected token ids below " +
                                                 std::to_string(vocabulary.tokens.size()) +
                                                 ", received " + std::to_string(token));
  }
  if (token < 0 || is_added(vocabulary.types[token])) return "";
  const bool first = std::exchange(at_start_, false);
  if (vocabulary.types[token] == TokenType::kByte) {
    return std::string(1, static_cast<char>(byte_value(vocabulary.tokens[token])));
  }
  std::string bytes = replace_all(vocabulary.tokens[token], kUnderline, " ");
  if (first && bytes.compare(0, 1, " ") == 0) bytes.erase(0, 1);
  return bytes;
}

}  // namespace xgenmm
