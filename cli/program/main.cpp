// berth: the command line of Berth's administrators.
#include <sys/ioctl.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <iostream>
#include <string_view>

#include "cli/app.hpp"
#include "cli/program/local_files.hpp"

namespace {

// Columns of the terminal on standard output; 0 when it isn't one or does not say.
std::size_t terminal_width() {
  winsize size{};
  return ::ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 ? size.ws_col : 0;
}

// https://no-color.org
bool wants_colour() {
  const char* no_colour = std::getenv("NO_COLOR");
  const char* term = std::getenv("TERM");
  return (no_colour == nullptr || *no_colour == '\0') && term != nullptr && std::string_view(term) != "dumb";
}

}  // namespace

int main(int argc, char** argv) {
  std::signal(SIGPIPE, SIG_IGN);  // a closed reader is an error that the command reports
  const bool out_is_terminal = ::isatty(STDOUT_FILENO) == 1;
  berth::cli::Streams streams{std::cin, std::cout, std::cerr, ::isatty(STDIN_FILENO) == 1, out_is_terminal, {}};
  if (out_is_terminal) streams.style = {.width = terminal_width(), .colour = wants_colour()};
  const berth::SystemClock clock;
  return berth::cli::run({argv + 1, argv + argc}, {streams, clock, &berth::cli::local_files()});
}
