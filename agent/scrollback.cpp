#include "agent/scrollback.hpp"

#include <algorithm>

namespace berth::agent {

namespace {
constexpr std::size_t kNear = 4096;  // how far a line's start is looked for
}

void Scrollback::append(std::string_view output) {
  end_ += output.size();
  while (!output.empty()) {
    if (chunks_.empty()) chunks_.emplace_back();  // grows by need: most terminals say little
    if (chunks_.back().size() == kChunk) chunks_.emplace_back().reserve(kChunk);
    auto part = output.substr(0, kChunk - chunks_.back().size());
    chunks_.back().append(part);
    output.remove_prefix(part.size());
  }
}

std::string_view Scrollback::from(std::uint64_t offset) const {
  offset = std::max(offset, begin_);
  if (offset >= end_) return {};
  const std::uint64_t place = skip_ + (offset - begin_);
  return std::string_view(chunks_[static_cast<std::size_t>(place / kChunk)]).substr(static_cast<std::size_t>(place % kChunk));
}

std::uint64_t Scrollback::line_start(std::uint64_t offset) const {
  offset = std::clamp(offset, begin_, end_);
  if (offset == begin_) return offset;  // a start already, or the best there is
  std::size_t looked = 0;
  for (std::uint64_t at = offset; at < end_ && looked < kNear;) {
    auto part = from(at);
    part = part.substr(0, kNear - looked);
    if (auto newline = part.find('\n'); newline != part.npos) return at + newline + 1;
    at += part.size();
    looked += part.size();
  }
  return offset;
}

void Scrollback::shrink_to(std::size_t most) {
  if (size() <= most) return;
  const std::uint64_t first = line_start(end_ - most);
  while (begin_ < first) {
    auto part = from(begin_);
    part = part.substr(0, static_cast<std::size_t>(std::min<std::uint64_t>(part.size(), first - begin_)));
    before_.feed(part);
    begin_ += part.size();
    skip_ += part.size();
    if (skip_ == chunks_.front().size()) {
      chunks_.pop_front();
      skip_ = 0;
    }
  }
}

OutputState Scrollback::state_at(std::uint64_t offset) const {
  OutputState state = before_;
  offset = std::min(offset, end_);
  for (std::uint64_t at = begin_; at < offset;) {
    auto part = from(at);
    part = part.substr(0, static_cast<std::size_t>(std::min<std::uint64_t>(part.size(), offset - at)));
    state.feed(part);
    at += part.size();
  }
  return state;
}

}  // namespace berth::agent
