// What an exec request asks to run, as a plan for spawn().
#pragma once
#include <string>
#include <string_view>

#include "agent/request.hpp"
#include "agent/spawn.hpp"
#include "agent/user.hpp"

namespace berth::agent {

// argv, `$SHELL -c command`, or a login shell; its environment and directory. `terminal`: the device's name, or "". The
// descriptors are the caller's to fill in.
SpawnPlan plan_program(const Request& request, const User& user, const std::string& terminal);

// "INT" to SIGINT; 0 for what is none.
int signal_number(std::string_view name);

}  // namespace berth::agent
