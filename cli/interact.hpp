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

// Puts the end that `option` names, if it was given, into `body`: "90d" from now, "2027-01-31" (its end, in UTC) or a full time; it must lie ahead.
// take_lifetime puts it there as seconds from now, "lifetime_s".
Outcome<> take_end(const Invocation& given, const Context& context, std::string_view option, const char* field, nlohmann::json& body);
Outcome<> take_lifetime(const Invocation& given, const Context& context, std::string_view option, nlohmann::json& body);
// "ada", "ada+nlp" or "ada/nlp" to the API's path "/workspaces/ada/nlp". Over SSH a plain name is the caller's own workspace of that name, and
// nothing the one that they logged in to.
std::string workspace_path(std::string_view workspace, const Context& context);
// How people write it where this command was given: "ada+nlp", or "nlp" for the caller's own over SSH.
std::string workspace_label(std::string_view workspace, const Context& context);
// USER as it was given; over SSH the caller when it was left out, on the admin socket then empty.
std::string user_of(const Invocation& given, const Context& context);
// What follows a list's path: of the USER given; else of everybody on the admin socket and with --everybody, of the caller over SSH.
std::string whose_query(const Invocation& given, const Context& context);
// The content of FILE, or of standard input for "-" and (over SSH) for nothing. At most 1 MiB.
Outcome<std::string> read_input(const std::string& file, const Context& context);
// A text field of a record; empty when it is missing, null or of another type.
std::string text_field(const nlohmann::json& record, const char* name);
// "a,b" as ["a","b"]; empty parts are left out.
nlohmann::json comma_list(std::string_view list);
// The value of --limit as a query part ("limit=20"), checked.
Outcome<std::string> limit_query(const std::string& value);

}  // namespace berth::cli
