// Completion for bash, generated from the table of commands.
#pragma once
#include <string>

namespace berth::cli {

std::string bash_completion();

}  // namespace berth::cli
