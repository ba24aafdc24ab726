#include "agent/terminal.hpp"

#include <fcntl.h>
#include <pty.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <cerrno>

namespace berth::agent {

namespace {

struct Character { std::uint8_t opcode; int index; };
constexpr Character kCharacters[] = {
    {1, VINTR}, {2, VQUIT}, {3, VERASE}, {4, VKILL}, {5, VEOF}, {6, VEOL}, {7, VEOL2}, {8, VSTART}, {9, VSTOP},
    {10, VSUSP}, {12, VREPRINT}, {13, VWERASE}, {14, VLNEXT}, {16, VSWTC}, {18, VDISCARD}};

struct Flag { std::uint8_t opcode; tcflag_t termios::*group; tcflag_t bit; };
constexpr Flag kFlags[] = {
    {30, &termios::c_iflag, IGNPAR}, {31, &termios::c_iflag, PARMRK}, {32, &termios::c_iflag, INPCK},
    {33, &termios::c_iflag, ISTRIP}, {34, &termios::c_iflag, INLCR}, {35, &termios::c_iflag, IGNCR},
    {36, &termios::c_iflag, ICRNL}, {37, &termios::c_iflag, IUCLC}, {38, &termios::c_iflag, IXON},
    {39, &termios::c_iflag, IXANY}, {40, &termios::c_iflag, IXOFF}, {41, &termios::c_iflag, IMAXBEL},
    {42, &termios::c_iflag, IUTF8},
    {50, &termios::c_lflag, ISIG}, {51, &termios::c_lflag, ICANON}, {52, &termios::c_lflag, XCASE},
    {53, &termios::c_lflag, ECHO}, {54, &termios::c_lflag, ECHOE}, {55, &termios::c_lflag, ECHOK},
    {56, &termios::c_lflag, ECHONL}, {57, &termios::c_lflag, NOFLSH}, {58, &termios::c_lflag, TOSTOP},
    {59, &termios::c_lflag, IEXTEN}, {60, &termios::c_lflag, ECHOCTL}, {61, &termios::c_lflag, ECHOKE},
    {62, &termios::c_lflag, PENDIN},
    {70, &termios::c_oflag, OPOST}, {71, &termios::c_oflag, OLCUC}, {72, &termios::c_oflag, ONLCR},
    {73, &termios::c_oflag, OCRNL}, {74, &termios::c_oflag, ONOCR}, {75, &termios::c_oflag, ONLRET},
    // CS7 and CS8 are values of one two-bit field, CS7's bits are part of CS8's: 8 bits unless only CS7 is asked for.
    {91, &termios::c_cflag, CS8}, {92, &termios::c_cflag, PARENB}, {93, &termios::c_cflag, PARODD}};

constexpr std::uint8_t kEnd = 0, kFirstUndefined = 160;

void apply_mode(std::uint8_t opcode, std::uint32_t value, termios& settings) {
  for (const auto& character : kCharacters)
    if (character.opcode == opcode) settings.c_cc[character.index] = value == 255 ? _POSIX_VDISABLE : static_cast<cc_t>(value);
  for (const auto& flag : kFlags) {
    if (flag.opcode != opcode) continue;
    if (value) settings.*flag.group |= flag.bit;
    else if (flag.bit != CS8) settings.*flag.group &= ~flag.bit;
    else settings.c_cflag = (settings.c_cflag & ~static_cast<tcflag_t>(CSIZE)) | CS7;
  }
}

winsize to_winsize(const WindowSize& size) { return {size.rows, size.columns, size.width_pixels, size.height_pixels}; }

}  // namespace

void apply_modes(std::string_view modes, termios& settings) {
  while (modes.size() >= 5) {
    auto byte = [&](std::size_t i) { return static_cast<std::uint32_t>(static_cast<unsigned char>(modes[i])); };
    auto opcode = static_cast<std::uint8_t>(byte(0));
    if (opcode == kEnd || opcode >= kFirstUndefined) return;
    apply_mode(opcode, byte(1) << 24 | byte(2) << 16 | byte(3) << 8 | byte(4), settings);
    modes.remove_prefix(5);
  }
}

Result<Terminal> open_terminal(const WindowSize& size, std::string_view modes) {
  Terminal terminal;
  terminal.master.reset(::open("/dev/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC | O_NONBLOCK));
  if (!terminal.master) terminal.master.reset(::open("/dev/pts/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC | O_NONBLOCK));
  if (!terminal.master) return errno_error("opening a terminal", errno);
  int unlock = 0;
  unsigned number = 0;
  if (::ioctl(terminal.master.get(), TIOCSPTLCK, &unlock) < 0 || ::ioctl(terminal.master.get(), TIOCGPTN, &number) < 0)
    return errno_error("opening a terminal", errno);
  terminal.name = "/dev/pts/" + std::to_string(number);
  // By the master and not by its path: right even where another devpts is mounted on /dev/pts.
  terminal.slave.reset(::ioctl(terminal.master.get(), TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC));
  if (!terminal.slave) terminal.slave.reset(::open(terminal.name.c_str(), O_RDWR | O_NOCTTY | O_CLOEXEC));
  if (!terminal.slave) return errno_error(terminal.name, errno);
  termios settings{};
  if (::tcgetattr(terminal.slave.get(), &settings) == 0) {
    settings.c_iflag |= IUTF8;
    apply_modes(modes, settings);
    ::tcsetattr(terminal.slave.get(), TCSANOW, &settings);
  }
  winsize window = to_winsize(size);
  ::ioctl(terminal.slave.get(), TIOCSWINSZ, &window);
  return terminal;
}

}  // namespace berth::agent
