#include "server/gateway/command_streams.hpp"

namespace berth::server {

ChannelOutput::ChannelOutput(CommandBridge& bridge, bool as_stderr, bool terminal) : bridge_(bridge), as_stderr_(as_stderr), terminal_(terminal) {
  setp(buffer_.data(), buffer_.data() + buffer_.size());
}

int ChannelOutput::sync() {
  const std::string_view text(pbase(), static_cast<std::size_t>(pptr() - pbase()));
  const bool sent = terminal_ ? bridge_.write(with_returns(text), as_stderr_) : bridge_.write(text, as_stderr_);
  setp(buffer_.data(), buffer_.data() + buffer_.size());
  return sent ? 0 : -1;
}

ChannelOutput::int_type ChannelOutput::overflow(int_type byte) {
  if (sync() != 0) return traits_type::eof();
  if (!traits_type::eq_int_type(byte, traits_type::eof())) sputc(traits_type::to_char_type(byte));
  return traits_type::not_eof(byte);
}

std::string ChannelInput::next_line() {
  for (;;) {
    if (typed_.empty()) typed_ = bridge_.read();
    if (typed_.empty()) return {};
    std::string echo;
    LineEditor::State state = LineEditor::State::typing;
    std::size_t used = 0;
    while (used < typed_.size() && state == LineEditor::State::typing) state = editor_.type(typed_[used++], echo);
    typed_.erase(0, used);
    if (!bridge_.write(echo, true) || state == LineEditor::State::end) return {};
    if (state == LineEditor::State::line) return editor_.take();
  }
}

ChannelInput::int_type ChannelInput::underflow() {
  current_ = terminal_ ? next_line() : bridge_.read();
  if (current_.empty()) return traits_type::eof();
  setg(current_.data(), current_.data(), current_.data() + current_.size());
  return traits_type::to_int_type(current_.front());
}

}  // namespace berth::server
