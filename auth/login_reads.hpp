// What a lane looks up for each login and forward, by statements that it keeps. What is kept are statements, never answers: a change counts from its
// commit on, as with the functions of Directory that these are.
#pragma once
#include <optional>
#include <string_view>

#include "auth/directory.hpp"
#include "base/kept_statements.hpp"

namespace berth::auth {

LoginDecision decide_login(const Directory& directory, KeptStatements& reader, std::string_view user, std::string_view key_blob);
std::optional<User> find_user(KeptStatements& reader, std::string_view name);

}  // namespace berth::auth
