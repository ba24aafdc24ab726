// What the commands share: printing answers, asking before something is lost, and reading what people type.
#pragma once
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "cli/command.hpp"

namespace berth::cli {

// With --json the document, else `text`; when `text` is empty, `nothing` goes to standard error ("no keys").
void print_answer(const Context& context, const nlohmann::json& document, std::string_view text, std::string_view nothing = {});
// One JSON document and a newline; ASCII only, so that nothing in it can reach the terminal's controls.
void print_json(const Context& context, const nlohmann::json& document);
// A sentence on standard output, unless --json.
void say(const Context& context, std::string_view sentence);

// Shows `preview` and asks `question`, unless --yes was given. Failure{usage} where nobody can be asked; Failure{failed} when the answer is no.
Outcome<> confirm(const Invocation& given, const Context& context, std::string_view preview, std::string_view question);

// "90d" from now, "2027-01-31" (its end, in UTC) or a full time; it must lie ahead.
Outcome<Timestamp> parse_expiry(std::string_view text, Timestamp now);
// "ada", "ada+nlp" or "ada/nlp" to the API's path "/workspaces/ada/nlp".
std::string workspace_path(std::string_view workspace);
// A text field of a record; empty when it is missing, null or of another type.
std::string text_field(const nlohmann::json& record, const char* name);
// The value of --limit as a query part ("limit=20"), checked.
Outcome<std::string> limit_query(const std::string& value);

}  // namespace berth::cli
