// What a terminal's output has switched on, as far as a viewer that comes later must know: the title and the private modes of
// DEC and xterm (alternate screen, hidden cursor, mouse, bracketed paste). Not an emulator: it follows sequences, no screen.
#pragma once
#include <cstdint>
#include <set>
#include <string>
#include <string_view>

namespace berth::agent {

class OutputState {
 public:
  static constexpr std::size_t kMaxTitle = 200;  // bytes
  // Output in order, cut anywhere. True when the title has changed.
  bool feed(std::string_view output);
  const std::string& title() const { return title_; }
  bool alternate_screen() const { return modes_.contains(1049) || modes_.contains(1047) || modes_.contains(47); }
  // What brings a fresh terminal into this state; empty when nothing is unusual.
  std::string restore() const;

 private:
  enum class In : std::uint8_t { text, escape, csi, osc, osc_escape };
  void take(char c);
  void end_csi(char final);
  void end_osc();
  void set_mode(int mode, bool on);

  In in_ = In::text;
  std::string sequence_;  // of the CSI or OSC so far, without its introducer
  bool overlong_ = false;
  bool cursor_hidden_ = false;
  bool title_changed_ = false;
  std::set<int> modes_;   // those of kRemembered that are on
  std::string title_;
};

}  // namespace berth::agent
