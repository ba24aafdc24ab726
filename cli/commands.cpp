#include "cli/command.hpp"

namespace berth::cli {
namespace {

constexpr Parameter kNone{};
constexpr Parameter kUser{"USER", "the user's name", Completes::users};
constexpr Parameter kWorkspace{"WORKSPACE", "USER for the workspace main, USER+NAME for another", Completes::workspaces};
constexpr Option kYes{"--yes", "", "do not ask"};

constexpr Command kCommands[] = {
    {"user", "add", "make a user", {Parameter{"USER", "a-z, then a-z, 0-9, _ and -; at most 32"}, kNone},
     {Option{"--role", "ROLE", "user (the default), auditor (reads everything) or admin", Completes::roles}}, user_add},
    {"user", "list", "all users", {}, {}, user_list},
    {"user", "show", "a user and their keys", {kUser}, {}, user_show},
    {"user", "disable", "lock a user out: their sessions, tunnels and browser logins end now", {kUser}, {}, user_disable},
    {"user", "enable", "let a disabled user in again", {kUser}, {}, user_enable},
    {"user", "remove", "remove a user with keys and workspaces; the home directory stays", {kUser}, {kYes}, user_remove},

    {"key", "add", "add the public keys in a file to a user",
     {kUser, Parameter{"FILE", "lines as in a .pub file; - is standard input", Completes::files}},
     {Option{"--expires", "WHEN", "when they stop working: 90d, 12h, 2w, 2027-01-31 or 2027-01-31T12:00:00Z"}}, key_add},
    {"key", "list", "keys of a user, or of all", {Parameter{"USER", "only this user's", Completes::users, false}}, {}, key_list},
    {"key", "revoke", "end a key and all that was opened with it, at once",
     {Parameter{"FINGERPRINT", "SHA256:… as `berth key list` shows it", Completes::fingerprints}}, {kYes}, key_revoke},

    {"session", "list", "what is open now: connections, shells, commands, tunnels, browsers", {},
     {Option{"--all", "", "those that have ended too"}, Option{"--user", "USER", "only this user's", Completes::users},
      Option{"--limit", "N", "at most so many of the newest"}}, session_list},
    {"session", "kill", "end one", {Parameter{"ID", "as `berth session list` shows it", Completes::sessions}}, {}, session_kill},

    {"workspace", "list", "workspaces of all users, or of one", {Parameter{"USER", "only this user's", Completes::users, false}}, {},
     workspace_list},
    {"workspace", "start", "start one and wait until it runs", {kWorkspace}, {}, workspace_start},
    {"workspace", "stop", "stop one: what runs in it ends, the home stays", {kWorkspace}, {}, workspace_stop},
    {"workspace", "reset", "stop one and make its container anew at the next use; the home stays", {kWorkspace}, {}, workspace_reset},
    {"workspace", "remove", "remove one's container and record; the home stays", {kWorkspace},
     {Option{"--with-home", "", "delete the home directory too (asks)"}, kYes}, workspace_remove},

    {"status", "", "how Berth is doing", {}, {}, show_status},
    {"backup", "", "write a consistent copy of the store while berthd runs",
     {Parameter{"FILE", "made with mode 0600; it holds host keys and hashes of secrets: keep it safe", Completes::files}},
     {Option{"--force", "", "replace FILE when it exists"}}, backup},

    {"audit", "tail", "the newest audit rows", {}, {Option{"--limit", "N", "how many (20)"}}, audit_tail},
    {"audit", "verify", "check the whole chain of audit rows", {}, {}, audit_verify},

    {"completion", "bash", "print the completion script: source <(berth completion bash)", {}, {}, completion_script},
    // For that script; not in the help.
    {"completion", "words", "", {Parameter{"KIND", "users, workspaces, fingerprints or sessions"}}, {}, completion_words},
};

constexpr Noun kNouns[] = {
    {"user", "people who may log in"},
    {"key", "their SSH public keys"},
    {"session", "what they have open"},
    {"workspace", "their containers"},
    {"status", "how Berth is doing"},
    {"backup", "a copy of the store"},
    {"audit", "who did what"},
    {"completion", "completion for a shell"},
};

}  // namespace

std::span<const Command> all_commands() { return kCommands; }
std::span<const Noun> all_nouns() { return kNouns; }

}  // namespace berth::cli
