#include "server/gateway/line_editor.hpp"

#include <utility>

#include "base/human.hpp"

namespace berth::server {
namespace {

constexpr char kEndOfTransmission = 0x04, kBackspace = 0x08, kKillLine = 0x15, kDelete = 0x7f;
constexpr std::size_t kLongestLine = 64 * 1024;  // keys of RSA with long comments are far below

bool is_continuation(char byte) { return (static_cast<unsigned char>(byte) & 0xC0) == 0x80; }

}  // namespace

std::string with_returns(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (c == '\n') out += '\r';
    out += c;
  }
  return out;
}

void LineEditor::erase_last(std::string& echo) {
  std::size_t from = line_.size();
  while (from > 0 && is_continuation(line_[from - 1])) --from;
  if (from > 0) --from;
  for (std::size_t columns = display_width(std::string_view(line_).substr(from)); columns > 0; --columns) echo += "\b \b";
  line_.erase(from);
}

LineEditor::State LineEditor::type(char byte, std::string& echo) {
  if (byte == '\r' || byte == '\n') {
    echo += "\r\n";
    line_ += '\n';
    return State::line;
  }
  if (byte == kEndOfTransmission) return line_.empty() ? State::end : State::typing;
  if (byte == kBackspace || byte == kDelete) {
    if (!line_.empty()) erase_last(echo);
  } else if (byte == kKillLine) {
    while (!line_.empty()) erase_last(echo);
  } else if (static_cast<unsigned char>(byte) >= 0x20 && line_.size() < kLongestLine) {
    line_ += byte;
    echo += byte;
  }
  return State::typing;
}

std::string LineEditor::take() { return std::exchange(line_, {}); }

}  // namespace berth::server
