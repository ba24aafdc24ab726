// `berth` without its main: from words to an exit code.
#pragma once
#include <string>
#include <vector>

#include "cli/command.hpp"

namespace berth::cli {

// `arguments` without the program's name. Answers the exit code (cli/outcome.hpp).
int run(std::vector<std::string> arguments, Streams streams, const Clock& clock);

}  // namespace berth::cli
