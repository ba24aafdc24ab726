// What the commands of `berth env` share.
#pragma once
#include <nlohmann/json.hpp>
#include <string>

#include "cli/interact.hpp"

namespace berth::cli {

Outcome<nlohmann::json> success(nlohmann::json document);
// Fields of a record; 0, false, "0 B" and an empty list when they are missing or of another type.
std::int64_t number_field(const nlohmann::json& record, const char* name);
bool flag_field(const nlohmann::json& record, const char* name);
std::string bytes_field(const nlohmann::json& record, const char* name);
nlohmann::json list_field(const nlohmann::json& record, const char* name);
// "ml" is the caller's over SSH; "ada/ml" or "ada+ml" says whose, "team/ml" is the team's.
Outcome<std::string> environment_path(const std::string& name, const Context& context);
// A build to its end, with its progress on standard error; its answer.
Outcome<nlohmann::json> follow(const Context& context, const std::string& path, const nlohmann::json& body);
// The difference, sign first: + added, - removed, ^ up, v down, = rebuilt.
std::string diff_text(const nlohmann::json& diff);
std::string environments_table(const nlohmann::json& environments, const Context& context);
Outcome<> print_environment(const Context& context, const nlohmann::json& environment);

}  // namespace berth::cli
