// Bytes in order of arrival. Gives its memory back when it runs empty, so that idle connections stay small: to a few spare pieces of the thread, so
// that busy ones do not fetch and fault in fresh memory for every packet.
#pragma once
#include <algorithm>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

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
    if (bytes_.empty() && more.size() > kKeep && bytes_.capacity() <= kKeep) take_spare();
    bytes_.append(more);
  }
  void consume(std::size_t count) {
    head_ += count;
    if (head_ < bytes_.size()) return;
    head_ = 0;
    bytes_.clear();
    if (bytes_.capacity() > kKeep) give_up_memory();
  }

 private:
  static constexpr std::size_t kKeep = 4096;
  static constexpr std::size_t kLargestSpare = 512 * 1024;
  static constexpr std::size_t kSpares = 8;
  static std::vector<std::string>& spares() {
    thread_local std::vector<std::string> kept;
    return kept;
  }
  void take_spare() {
    if (spares().empty()) return;
    bytes_.swap(spares().back());
    spares().pop_back();
  }
  void give_up_memory() {
    std::string old;
    old.swap(bytes_);
    if (old.capacity() <= kLargestSpare && spares().size() < kSpares) spares().push_back(std::move(old));
  }

  std::string bytes_;
  std::size_t head_ = 0;
};

}  // namespace berth::ssh
