// Runs a program of the system to its end: for short commands such as nft's.
#pragma once
#include <chrono>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"

namespace berth::keeper {

// Blocks for at most `limit`. The Error holds what the program printed. argv[0] is an absolute path; the environment is empty.
Result<void> run_tool(const std::vector<std::string>& argv, std::string_view input, std::chrono::milliseconds limit);

}  // namespace berth::keeper
