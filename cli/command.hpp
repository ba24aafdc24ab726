// The commands of `berth` as one table: parsing, help and completion come from it, and what is not in it is refused. The program `berth`
// runs them over the admin socket, the gateway of berthd for `ssh HOST berth …` over the API inside it. Who may do what is decided by the
// API's routes alone; `who` in this table only keeps from a person's help what the API would refuse them.
#pragma once
#include <array>
#include <cstdint>
#include <functional>
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

enum class Who : std::uint8_t { user, auditor, admin };  // in rising order

// The ways to a command, as a set.
using Faces = std::uint8_t;
inline constexpr Faces kAdminSocket = 1, kSsh = 2, kBothFaces = kAdminSocket | kSsh;

// Who called by SSH.
struct Self {
  std::string user;
  Who role = Who::user;
  std::string workspace = "main";  // the one that the login names
};

// The files of the machine that `berth` runs on. Its implementation is part of that program only (cli/program/): berthd links none, so a
// command that came by SSH cannot open a file of the server, whatever it is asked.
class LocalFiles {
 public:
  virtual ~LocalFiles() = default;
  // The whole file; Failure{invalid} when it cannot be read or is larger than `most` bytes.
  virtual Outcome<std::string> read(const std::string& path, std::size_t most) const = 0;
  // A new file with mode 0600, filled by `fill` and put in place only when it is whole and a sound store; answers its size in bytes. An
  // existing `path` stays as it is without `replace`.
  using Fill = std::function<Outcome<>(const UnixHttp::Sink& sink)>;
  virtual Outcome<std::uint64_t> write_store(const std::string& path, bool replace, const Fill& fill) const = 0;
};

// What a word on the command line can be completed with.
enum class Completes { nothing, files, users, workspaces, fingerprints, sessions, roles, shells };

struct Parameter {
  std::string_view name;  // "USER", as the help shows it; empty: no parameter
  std::string_view help;
  Completes completes = Completes::nothing;
  bool required = true;
  std::string_view ssh_help = {};  // not empty: over SSH it may be left out, and this is its help there
};

struct Option {
  std::string_view name;   // "--expires"; empty: no option
  std::string_view value;  // "WHEN"; empty: a flag
  std::string_view help;
  Completes completes = Completes::nothing;
  std::string_view letter = {};  // "-f"
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
  const Self* self = nullptr;         // over SSH only
  const LocalFiles* files = nullptr;  // on the admin socket only
};

using Run = Outcome<> (*)(const Invocation& given, const Context& context);

struct Command {
  std::string_view noun;
  std::string_view verb;  // empty: the noun alone is the command
  std::string_view summary;
  std::array<Parameter, 3> parameters;
  std::array<Option, 9> options;
  Run run;
  Who who = Who::admin;
  Faces faces = kBothFaces;
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
Outcome<> user_role(const Invocation&, const Context&);
Outcome<> user_remove(const Invocation&, const Context&);
Outcome<> key_add(const Invocation&, const Context&);
Outcome<> key_list(const Invocation&, const Context&);
Outcome<> user_except(const Invocation&, const Context&);
Outcome<> user_exceptions(const Invocation&, const Context&);
Outcome<> user_forwards(const Invocation&, const Context&);
Outcome<> key_revoke(const Invocation&, const Context&);
Outcome<> key_remove(const Invocation&, const Context&);
Outcome<> key_rotate(const Invocation&, const Context&);
Outcome<> key_impact(const Invocation&, const Context&);
Outcome<> key_campaign(const Invocation&, const Context&);
Outcome<> key_import(const Invocation&, const Context&);
Outcome<> ca_add(const Invocation&, const Context&);
Outcome<> ca_list(const Invocation&, const Context&);
Outcome<> ca_remove(const Invocation&, const Context&);
Outcome<> ca_revoke(const Invocation&, const Context&);
Outcome<> ca_revoked(const Invocation&, const Context&);
Outcome<> ca_issue(const Invocation&, const Context&);
Outcome<> certify(const Invocation&, const Context&);
Outcome<> hostkey_list(const Invocation&, const Context&);
Outcome<> hostkey_rotate(const Invocation&, const Context&);
Outcome<> hostkey_retire(const Invocation&, const Context&);
Outcome<> hostkey_export(const Invocation&, const Context&);
Outcome<> session_list(const Invocation&, const Context&);
Outcome<> session_kill(const Invocation&, const Context&);
Outcome<> web_session_list(const Invocation&, const Context&);
Outcome<> web_session_end(const Invocation&, const Context&);
Outcome<> login_link(const Invocation&, const Context&);
Outcome<> login_approve(const Invocation&, const Context&);
Outcome<> whoami(const Invocation&, const Context&);
Outcome<> share_create(const Invocation&, const Context&);
Outcome<> share_list(const Invocation&, const Context&);
Outcome<> share_end(const Invocation&, const Context&);
Outcome<> token_create(const Invocation&, const Context&);
Outcome<> token_list(const Invocation&, const Context&);
Outcome<> token_revoke(const Invocation&, const Context&);
Outcome<> workspace_list(const Invocation&, const Context&);
Outcome<> workspace_start(const Invocation&, const Context&);
Outcome<> workspace_stop(const Invocation&, const Context&);
Outcome<> workspace_reset(const Invocation&, const Context&);
Outcome<> workspace_image(const Invocation&, const Context&);
Outcome<> workspace_remove(const Invocation&, const Context&);
Outcome<> env_list(const Invocation&, const Context&);
Outcome<> env_show(const Invocation&, const Context&);
Outcome<> env_create(const Invocation&, const Context&);
Outcome<> env_update(const Invocation&, const Context&);
Outcome<> env_history(const Invocation&, const Context&);
Outcome<> env_diff(const Invocation&, const Context&);
Outcome<> env_rollback(const Invocation&, const Context&);
Outcome<> env_default(const Invocation&, const Context&);
Outcome<> env_export(const Invocation&, const Context&);
Outcome<> env_remove(const Invocation&, const Context&);
Outcome<> env_verify(const Invocation&, const Context&);
Outcome<> env_check(const Invocation&, const Context&);
Outcome<> env_clone(const Invocation&, const Context&);
Outcome<> env_share(const Invocation&, const Context&);
Outcome<> env_maintainer(const Invocation&, const Context&);
Outcome<> env_gc(const Invocation&, const Context&);
Outcome<> show_status(const Invocation&, const Context&);
Outcome<> backup(const Invocation&, const Context&);
Outcome<> audit_tail(const Invocation&, const Context&);
Outcome<> audit_show(const Invocation&, const Context&);
Outcome<> audit_export(const Invocation&, const Context&);
Outcome<> audit_verify(const Invocation&, const Context&);
Outcome<> completion_script(const Invocation&, const Context&);
Outcome<> completion_words(const Invocation&, const Context&);

}  // namespace berth::cli
