// Standard streams over a CommandBridge, for code that blocks.
#pragma once
#include <array>
#include <streambuf>
#include <string>

#include "server/gateway/command_bridge.hpp"
#include "server/gateway/line_editor.hpp"

namespace berth::server {

class ChannelOutput final : public std::streambuf {
 public:
  // `terminal`: the client's terminal is in raw mode and wants a carriage return before each '\n'.
  ChannelOutput(CommandBridge& bridge, bool as_stderr, bool terminal);

 protected:
  int_type overflow(int_type byte) override;
  int sync() override;

 private:
  CommandBridge& bridge_;
  const bool as_stderr_, terminal_;
  std::array<char, 4096> buffer_{};
};

class ChannelInput final : public std::streambuf {
 public:
  // `terminal`: lines are edited here and shown on the client's terminal.
  ChannelInput(CommandBridge& bridge, bool terminal) : bridge_(bridge), terminal_(terminal) {}

 protected:
  int_type underflow() override;

 private:
  std::string next_line();
  CommandBridge& bridge_;
  const bool terminal_;
  LineEditor editor_;
  std::string typed_;    // keys not yet looked at
  std::string current_;  // what the stream reads from
};

}  // namespace berth::server
