// `berth` without its main: from words to an exit code. The same for the program on the admin socket and for `ssh HOST berth …`.
#pragma once
#include <string>
#include <vector>

#include "cli/command.hpp"

namespace berth::cli {

// Where a command runs.
struct Place {
  Streams& streams;
  const Clock& clock;
  const LocalFiles* files = nullptr;  // on the admin socket
  const Self* self = nullptr;         // over SSH, and then also:
  UnixHttp::Connect connect = {};     // to the API as this caller
};

// `arguments` without the program's name. Answers the exit code (cli/outcome.hpp). Blocks until the command has ended.
int run(std::vector<std::string> arguments, const Place& place);
// "key list" when the words name a command of the table, else empty: for a log that must not hold what was typed.
std::string command_named(const std::vector<std::string>& arguments);

}  // namespace berth::cli
