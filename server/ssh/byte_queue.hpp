// Bytes in order of arrival. Gives its memory back when it runs empty, so that idle connections stay small.
#pragma once
#include <algorithm>
#include <cstring>
#include <string>
#include <string_view>

namespace berth::ssh {

class ByteQueue {
 public:
  bool empty() const { return head_ == bytes_.size(); }
  std::size_t size() const { return bytes_.size() - head_; }
  std::string_view view() const { return std::string_view(bytes_).substr(head_); }

  void append(std::string_view more) {
    if (head_ > bytes_.size() / 2) {
      bytes_.erase(0, head_);
      head_ = 0;
    }
    bytes_.append(more);
  }
  void consume(std::size_t count) {
    head_ += count;
    if (head_ < bytes_.size()) return;
    head_ = 0;
    if (bytes_.capacity() > kKeep) {
      std::string().swap(bytes_);
    } else {
      bytes_.clear();
    }
  }
  std::size_t take(void* into, std::size_t limit) {
    const std::size_t count = std::min(limit, size());
    std::memcpy(into, bytes_.data() + head_, count);
    consume(count);
    return count;
  }

 private:
  static constexpr std::size_t kKeep = 4096;
  std::string bytes_;
  std::size_t head_ = 0;
};

}  // namespace berth::ssh
