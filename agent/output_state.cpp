#include "agent/output_state.hpp"

#include <algorithm>
#include <cstdlib>
#include <iterator>

namespace berth::agent {

namespace {

constexpr std::size_t kMaxSequence = 256;
// xterm's ctlseqs: application cursor keys, alternate screens, mouse reporting and its encodings, focus events, bracketed paste.
constexpr int kRemembered[] = {1, 47, 1000, 1002, 1003, 1004, 1005, 1006, 1015, 1047, 1049, 2004};
constexpr int kCursorVisible = 25;

bool remembered(int mode) { return std::find(std::begin(kRemembered), std::end(kRemembered), mode) != std::end(kRemembered); }

}  // namespace

bool OutputState::feed(std::string_view output) {
  title_changed_ = false;
  while (!output.empty()) {
    if (in_ == In::text) {  // nearly always: to the next escape at the speed of memchr
      const auto escape = output.find('\x1b');
      if (escape == output.npos) break;
      output.remove_prefix(escape);
    }
    take(output.front());
    output.remove_prefix(1);
  }
  return title_changed_;
}

void OutputState::take(char c) {
  switch (in_) {
    case In::text:
      if (c == '\x1b') in_ = In::escape;
      return;
    case In::escape:
      sequence_.clear();
      overlong_ = false;
      in_ = c == '[' ? In::csi : c == ']' ? In::osc : c == '\x1b' ? In::escape : In::text;
      if (c == 'c') {  // full reset
        modes_.clear();
        cursor_hidden_ = false;
      }
      return;
    case In::csi:
      if (c == '\x1b') in_ = In::escape;
      else if (c >= 0x40 && c <= 0x7e) end_csi(c);
      else if (sequence_.size() < kMaxSequence) sequence_ += c;
      else overlong_ = true;
      return;
    case In::osc:
      if (c == '\a') end_osc();
      else if (c == '\x1b') in_ = In::osc_escape;
      else if (sequence_.size() < kMaxSequence) sequence_ += c;
      else overlong_ = true;
      return;
    case In::osc_escape:
      if (c == '\\') return end_osc();
      in_ = In::escape;
      return take(c);
  }
}

void OutputState::end_csi(char final) {
  in_ = In::text;
  if (final == 'p' && sequence_ == "!") {  // soft reset
    cursor_hidden_ = false;
    modes_.erase(1);
  }
  if (overlong_ || (final != 'h' && final != 'l') || !sequence_.starts_with('?')) return;
  const char* rest = sequence_.c_str() + 1;
  while (*rest >= '0' && *rest <= '9') {
    char* end = nullptr;
    const long mode = std::strtol(rest, &end, 10);
    if (mode <= 9999) set_mode(static_cast<int>(mode), final == 'h');
    rest = *end == ';' ? end + 1 : end;
  }
}

void OutputState::set_mode(int mode, bool on) {
  if (mode == kCursorVisible) cursor_hidden_ = !on;
  if (!remembered(mode)) return;
  if (on) modes_.insert(mode);
  else modes_.erase(mode);
}

// OSC 0 and 2 set the window's title.
void OutputState::end_osc() {
  in_ = In::text;
  if (overlong_ || !(sequence_.starts_with("0;") || sequence_.starts_with("2;"))) return;
  std::string title = sequence_.substr(2, kMaxTitle);
  if (title == title_) return;
  title_ = std::move(title);
  title_changed_ = true;
}

std::string OutputState::restore() const {
  std::string text;
  for (int mode : modes_) text += "\x1b[?" + std::to_string(mode) + "h";
  if (cursor_hidden_) text += "\x1b[?25l";
  return text;
}

}  // namespace berth::agent
