// Pseudo-terminals inside the workspace.
#pragma once
#include <termios.h>

#include <cstdint>
#include <string>
#include <string_view>

#include "base/handles.hpp"
#include "base/result.hpp"

namespace berth::agent {

struct WindowSize {
  std::uint16_t columns = 80, rows = 24, width_pixels = 0, height_pixels = 0;
};

struct Terminal {
  FileDescriptor master;  // the only one there is, non-blocking: when it is closed, the kernel hangs up the session
  FileDescriptor slave;
  std::string name;  // /dev/pts/N
};

Result<Terminal> open_terminal(const WindowSize& size, std::string_view modes);

// Encoded terminal modes (RFC 4254 section 8) on top of `settings`. Unknown opcodes are skipped; what is cut off is ignored.
void apply_modes(std::string_view modes, termios& settings);

}  // namespace berth::agent
