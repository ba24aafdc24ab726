// The last part of a terminal's output as raw bytes, addressed by their offset since its start.
#pragma once
#include <cstdint>
#include <deque>
#include <string>
#include <string_view>

#include "agent/output_state.hpp"

namespace berth::agent {

class Scrollback {
 public:
  std::uint64_t begin() const { return begin_; }
  std::uint64_t end() const { return end_; }
  std::size_t size() const { return static_cast<std::size_t>(end_ - begin_); }
  void append(std::string_view output);
  // Bytes from `offset` on, as many as lie together; empty only at the end. An offset before begin() counts as begin().
  std::string_view from(std::uint64_t offset) const;
  // Drops the oldest until at most `most` bytes are left, and on to the start of a line where one is near.
  void shrink_to(std::size_t most);
  // The start of the first line at or after `offset`, where one is near; else `offset`, moved into what is kept.
  std::uint64_t line_start(std::uint64_t offset) const;
  // What the output before `offset` had switched on.
  OutputState state_at(std::uint64_t offset) const;

 private:
  static constexpr std::size_t kChunk = 16 * 1024;
  std::deque<std::string> chunks_;  // all but the last are full
  std::size_t skip_ = 0;            // of the first chunk, already dropped
  std::uint64_t begin_ = 0, end_ = 0;
  OutputState before_;              // of everything before begin_
};

}  // namespace berth::agent
