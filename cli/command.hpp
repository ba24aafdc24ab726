// The commands of `berth` as one table: parsing, help and completion come from it, and what is not in it is refused.
#pragma once
#include <array>
#include <iosfwd>
#include <map>
#include <nlohmann/json_fwd.hpp>
#include <span>
#include <string>
#include <string_view>

#include "base/clock.hpp"
#include "base/table.hpp"
#include "cli/api.hpp"
#include "cli/outcome.hpp"

namespace berth::cli {

// Where input and output go, and what they are.
struct Streams {
  std::istream& in;
  std::ostream& out;
  std::ostream& err;
  bool in_is_terminal = false;
  bool out_is_terminal = false;
  TextStyle style;  // of `out`
};

// What a word on the command line can be completed with.
enum class Completes { nothing, files, users, workspaces, fingerprints, sessions, roles, shells };

struct Parameter {
  std::string_view name;  // "USER", as the help shows it; empty: no parameter
  std::string_view help;
  Completes completes = Completes::nothing;
  bool required = true;
};

struct Option {
  std::string_view name;   // "--expires"; empty: no option
  std::string_view value;  // "WHEN"; empty: a flag
  std::string_view help;
  Completes completes = Completes::nothing;
};

// The words that were given: by "USER" for parameters, "--all" for options.
class Invocation {
 public:
  explicit Invocation(std::map<std::string, std::string, std::less<>> given) : given_(std::move(given)) {}
  bool has(std::string_view name) const { return given_.contains(name); }
  // Empty when it was not given.
  std::string operator[](std::string_view name) const {
    const auto found = given_.find(name);
    return found == given_.end() ? std::string() : found->second;
  }

 private:
  std::map<std::string, std::string, std::less<>> given_;
};

struct Context {
  const Api& api;
  Streams& streams;
  const Clock& clock;
  bool json = false;
};

using Run = Outcome<> (*)(const Invocation& given, const Context& context);

struct Command {
  std::string_view noun;
  std::string_view verb;  // empty: the noun alone is the command
  std::string_view summary;
  std::array<Parameter, 2> parameters;
  std::array<Option, 3> options;
  Run run;
};

std::span<const Command> all_commands();

struct Noun {
  std::string_view name, summary;
};
std::span<const Noun> all_nouns();

// The rows' functions (one file for each noun).
Outcome<> user_add(const Invocation&, const Context&);
Outcome<> user_list(const Invocation&, const Context&);
Outcome<> user_show(const Invocation&, const Context&);
Outcome<> user_disable(const Invocation&, const Context&);
Outcome<> user_enable(const Invocation&, const Context&);
Outcome<> user_remove(const Invocation&, const Context&);
Outcome<> key_add(const Invocation&, const Context&);
Outcome<> key_list(const Invocation&, const Context&);
Outcome<> key_revoke(const Invocation&, const Context&);
Outcome<> session_list(const Invocation&, const Context&);
Outcome<> session_kill(const Invocation&, const Context&);
Outcome<> workspace_list(const Invocation&, const Context&);
Outcome<> workspace_start(const Invocation&, const Context&);
Outcome<> workspace_stop(const Invocation&, const Context&);
Outcome<> workspace_reset(const Invocation&, const Context&);
Outcome<> workspace_remove(const Invocation&, const Context&);
Outcome<> show_status(const Invocation&, const Context&);
Outcome<> backup(const Invocation&, const Context&);
Outcome<> audit_tail(const Invocation&, const Context&);
Outcome<> audit_verify(const Invocation&, const Context&);
Outcome<> completion_script(const Invocation&, const Context&);
Outcome<> completion_words(const Invocation&, const Context&);

}  // namespace berth::cli
