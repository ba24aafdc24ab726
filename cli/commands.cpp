#include "cli/command.hpp"

namespace berth::cli {
namespace {

constexpr Parameter kUser{"USER", "the user's name", Completes::users};
// What a user may say of themselves: over SSH it is the caller when it is left out.
constexpr Parameter kOwnUser{"USER", "the user's name", Completes::users, true, "whose; yours when left out"};
constexpr Parameter kOnlyUser{"USER", "only this user's", Completes::users, false, "whose; yours when left out"};
constexpr Parameter kKeyFile{"FILE", "lines as in a .pub file; - is standard input", Completes::files, true, "- or left out: standard input (… < FILE)"};
constexpr Parameter kWorkspace{"WORKSPACE", "USER for the workspace main, USER+NAME for another", Completes::workspaces, true,
                               "the NAME of one of yours (left out: the one you logged in to), or USER+NAME"};
constexpr Parameter kEnv{"ENV", "the environment: NAME over SSH, USER/NAME here and for another's, team/NAME for the team's"};
constexpr Parameter kEnvFile{"FILE", "an environment.yml, or a lock of berth env export; - is standard input", Completes::files, true, "- or left out: standard input (… < FILE)"};
constexpr Parameter kFingerprint{"FINGERPRINT", "SHA256:… as `berth key list` shows it", Completes::fingerprints};
constexpr Option kYes{"--yes", "", "do not ask"};
constexpr Option kEverybody{"--everybody", "", "of all users (auditor, admin)"};

constexpr Option kByUser{"--user", "USER", "rows by or about this user", Completes::users};
constexpr Option kByAction{"--action", "ACTION", "key.add, or key for all that begin so"};
constexpr Option kSince{"--since", "WHEN", "not before: 24h ago, 2026-11-22, or a full time"};
constexpr Option kUntil{"--until", "WHEN", "before this time"};

constexpr Command kCommands[] = {
    {"web", "", "print a link that logs your browser in", {}, {}, login_link, Who::user, kSsh},
    {"approve", "", "log in the browser that shows this code; shows where it is, and asks", {Parameter{"CODE", "as the page shows it: BDGH-2345"}}, {kYes}, login_approve,
     Who::user, kSsh},
    {"whoami", "", "your user, role, workspace and the key you came with", {}, {}, whoami, Who::user, kSsh},

    {"user", "add", "make a user", {Parameter{"USER", "a-z, then a-z, 0-9, _ and -; at most 32"}},
     {Option{"--role", "ROLE", "user (the default), auditor (reads everything) or admin", Completes::roles}}, user_add},
    {"user", "list", "all users", {}, {}, user_list, Who::auditor},
    {"user", "show", "a user and their keys", {kUser}, {}, user_show, Who::auditor},
    {"user", "disable", "lock a user out: their sessions, tunnels and browser logins end now", {kUser}, {}, user_disable},
    {"user", "enable", "let a disabled user in again", {kUser}, {}, user_enable},
    {"user", "except", "make exceptions from the policy of keys for a user", {kUser},
     {Option{"--max-age", "SPAN", "how old their keys may become: 1y; 0s: no limit"}, Option{"--max-keys", "N", "how many they may have; 0: no limit"},
      Option{"--rsa-bits", "N", "the least size of their RSA keys"}, Option{"--types", "LIST", "types of key that they may use besides, comma-separated"},
      Option{"--no-hardware", "", "a security token is not demanded of them"}, Option{"--no-touch", "", "touching it is not"},
      Option{"--until", "WHEN", "when the exceptions end"}, Option{"--reason", "TEXT", "why, for those who read the list"},
      Option{"--clear", "", "take all exceptions of this user away"}}, user_except},
    {"user", "exceptions", "users with exceptions from the policy of keys", {}, {}, user_exceptions, Who::auditor},
    {"user", "forwards", "say what a user may forward over SSH, in place of the site's settings", {kUser},
     {Option{"--kinds", "LIST", "of local, remote, unix, agent, x11, comma-separated; or none"},
      Option{"--permit-open", "LIST", "where local forwards may go: HOST:PORT, * for either; or any, none"},
      Option{"--permit-listen", "LIST", "where remote forwards may listen: [HOST:]PORT; or any, none"},
      Option{"--default", "", "as the site's settings say"}}, user_forwards},
    {"user", "role", "make a user an auditor or an admin, or a user again",
     {kUser, Parameter{"ROLE", "user, auditor (reads everything) or admin", Completes::roles}}, {}, user_role},
    {"user", "remove", "remove a user with keys and workspaces; the home directory stays", {kUser}, {kYes}, user_remove},

    {"key", "add", "add the public keys in a file to a user", {kOwnUser, kKeyFile},
     {Option{"--expires", "WHEN", "when they stop working: 90d, 12h, 2w, 2027-01-31 or 2027-01-31T12:00:00Z"}}, key_add, Who::user},
    {"key", "list", "keys with their state, end and last use", {kOnlyUser}, {kEverybody}, key_list, Who::user},
    {"key", "rotate", "add a key in place of another, which goes on working for a while", {kOwnUser, kKeyFile},
     {Option{"--replaces", "FINGERPRINT", "which key, or all; else the one you came with, or the only one", Completes::fingerprints},
      Option{"--grace", "SPAN", "how long the replaced key works on: 7d, 0s (the site's policy)"},
      Option{"--retire-on-first-use", "", "it ends when the new key is first used, if that is earlier"},
      Option{"--expires", "WHEN", "when the new key stops working: 90d, 1y, 2027-01-31"}}, key_rotate, Who::user},
    {"key", "impact", "what would end with a key: sessions, browsers, habits", {kFingerprint}, {}, key_impact, Who::user},
    {"key", "revoke", "end a key and all that was opened with it, at once; shows what that is, and asks", {kFingerprint}, {kYes}, key_revoke, Who::user},
    {"key", "remove", "the same; over SSH without asking where nobody can be asked", {kFingerprint}, {kYes}, key_remove, Who::user},
    {"key", "import", "add the keys of a team at once, options of authorized_keys included; says for each line what became of it", {},
     {Option{"--user", "USER", "whose keys they are, where the file does not say", Completes::users},
      Option{"--authorized-keys", "FILE", "as sshd reads it; - is standard input", Completes::files},
      Option{"--github-format", "FILE", "lines of NAME and key, or JSON as GitHub's API gives it", Completes::files},
      Option{"--add-users", "", "make users that are missing"}, Option{"--dry-run", "", "only say what would happen"}}, key_import},
    {"key", "campaign", "ask the users of old keys to replace them by a deadline", {Parameter{"WHAT", "start, status or end"}},
     {Option{"--older-than", "SPAN", "keys that were added longer ago: 90d"}, Option{"--deadline", "SPAN", "from now: 30d"},
      Option{"--action", "ACTION", "at the deadline what is left is superseded (supersede, the default: a grace begins) or ends (expire)"},
      Option{"--message", "TEXT", "what users are told besides"}, Option{"--dry-run", "", "only show whom it would ask"}}, key_campaign, Who::auditor},

    {"hostkey", "list", "the host keys of the SSH door", {}, {}, hostkey_list, Who::user},
    {"hostkey", "rotate", "make a host key that takes over when the overlap ends; until then clients learn it",
     {Parameter{"TYPE", "ed25519, ecdsa or rsa"}}, {Option{"--overlap", "SPAN", "how long the old one stays in use (30d); 0s: not at all"}},
     hostkey_rotate},
    {"hostkey", "retire", "forget a host key now: its successor takes over", {Parameter{"FINGERPRINT", "as `berth hostkey list` shows it"}},
     {kYes}, hostkey_retire},
    {"hostkey", "export", "what clients can be given: lines for known_hosts, or for a DNS zone", {},
     {Option{"--known-hosts", "", "lines for known_hosts (the default)"}, Option{"--sshfp", "", "SSHFP records for a DNS zone"}}, hostkey_export, Who::user},

    {"ca", "add", "accept certificates that this key signs", {Parameter{"NAME", "as you will call it"}, Parameter{"FILE", "its public key", Completes::files}},
     {Option{"--principals", "RULES", "%u (the default: the user's name), %u@corp.example, PRINCIPAL=USER; comma-separated"}}, ca_add},
    {"ca", "list", "the authorities", {}, {}, ca_list, Who::auditor},
    {"ca", "remove", "accept its certificates no more; what rests on them ends", {Parameter{"NAME", "as `berth ca list` shows it"}}, {kYes}, ca_remove},
    {"ca", "revoke", "accept some certificates no more; what rests on them ends", {Parameter{"NAME", "whose; may be left out where there is one only", Completes::nothing, false}},
     {Option{"--serial", "N", "a serial, or several: 17,40-50"}, Option{"--key-id", "ID", "all with this key id"},
      Option{"--key", "FILE", "all for this key (.pub or -cert.pub)", Completes::files}, Option{"--krl", "FILE", "all in this list (ssh-keygen -k)", Completes::files}},
     ca_revoke},
    {"ca", "revoked", "what is revoked", {Parameter{"NAME", "whose; may be left out where there is one only", Completes::nothing, false}}, {}, ca_revoked, Who::auditor},
    {"ca", "issue", "certify a user's key with Berth's own authority", {kUser, Parameter{"FILE", "the public key", Completes::files}},
     {Option{"--lifetime", "SPAN", "how long it works: 8h (the default: certificates.lifetime in the settings)"}}, ca_issue},
    {"cert", "", "certify a key for some hours: ssh HOST berth cert < key.pub > key-cert.pub", {},
     {Option{"--lifetime", "SPAN", "shorter than usual"}}, certify, Who::user, kSsh},

    {"session", "list", "what is open now: connections, shells, commands, tunnels, browsers", {},
     {Option{"--all", "", "those that have ended too"}, Option{"--user", "USER", "only this user's", Completes::users},
      Option{"--limit", "N", "at most so many of the newest"}, kEverybody}, session_list, Who::user},
    {"session", "kill", "end one", {Parameter{"ID", "as `berth session list` shows it", Completes::sessions}}, {}, session_kill, Who::user},

    {"web-session", "list", "browsers that are logged in as a user", {kOwnUser}, {}, web_session_list, Who::user},
    {"web-session", "end", "log one of them out", {Parameter{"ID", "as `berth web-session list` shows it"}}, {}, web_session_end, Who::user},

    {"workspace", "list", "workspaces and their state", {kOnlyUser}, {kEverybody}, workspace_list, Who::user},
    {"workspace", "start", "start one and wait until it runs", {kWorkspace}, {}, workspace_start, Who::user},
    {"workspace", "stop", "stop one: what runs in it ends, the home stays", {kWorkspace}, {}, workspace_stop, Who::user},
    {"workspace", "reset", "stop one and make its container anew at the next use; the home stays", {kWorkspace}, {}, workspace_reset, Who::user},
    {"workspace", "image", "the images that one can be made of; with IMAGE: choose one, for its next start",
     {Parameter{"WORKSPACE", "USER for the workspace main, USER+NAME for another", Completes::workspaces, true, "NAME of one of yours, or USER+NAME; left out: this one"},
      Parameter{"IMAGE", "its name", Completes::nothing, false}}, {}, workspace_image, Who::user},
    {"workspace", "remove", "remove one's container and record; the home stays", {kWorkspace},
     {Option{"--with-home", "", "delete the home directory too (asks)"}, kYes}, workspace_remove, Who::user},

    {"env", "list", "conda environments", {kOnlyUser}, {kEverybody}, env_list, Who::user},
    {"env", "show", "one with the packages of its current revision", {kEnv}, {}, env_show, Who::user},
    {"env", "create", "solve an environment.yml, show what it is, and install it", {kEnv, kEnvFile}, {kYes}, env_create, Who::user},
    {"env", "update", "the same as the next revision; shows the difference first", {kEnv, kEnvFile}, {kYes}, env_update, Who::user},
    {"env", "history", "its revisions", {kEnv}, {}, env_history, Who::user},
    {"env", "diff", "what changed between two revisions (the last two)",
     {kEnv, Parameter{"FROM", "a revision", Completes::nothing, false}, Parameter{"TO", "another; the current one when left out", Completes::nothing, false}}, {}, env_diff,
     Who::user},
    {"env", "rollback", "make an earlier revision current, at once",
     {kEnv, Parameter{"REVISION", "which; the one before when left out", Completes::nothing, false}}, {}, env_rollback, Who::user},
    {"env", "default", "make it what new shells start with", {kEnv}, {Option{"--off", "", "they start with none"}, Option{"--user", "USER", "whose shells (admin)", Completes::users}}, env_default, Who::user},
    {"env", "export", "print it, to be kept or built elsewhere", {kEnv},
     {Option{"--format", "FORMAT", "lock (the default), explicit (for conda) or yaml"}, Option{"--revision", "N", "another than the current one"}}, env_export, Who::user},
    {"env", "clone", "make another with the same packages, of your own: NAME or team/NAME",
     {kEnv, Parameter{"NEW", "what it is to be called"}}, {}, env_clone, Who::user},
    {"env", "share", "let everybody use it: it becomes team/NAME, and you maintain it", {kEnv}, {kYes}, env_share, Who::user},
    {"env", "maintainer", "let another user change an environment of the team", {kEnv, Parameter{"USER", "who", Completes::users}},
     {Option{"--remove", "", "not any more"}}, env_maintainer, Who::user},
    {"env", "remove", "remove it with all revisions", {kEnv}, {kYes}, env_remove, Who::user},
    {"env", "verify", "build it again aside, and compare every file", {kEnv}, {}, env_verify, Who::user},
    {"env", "check", "check and solve an environment.yml; nothing is installed", {kEnvFile},
     {Option{"--user", "USER", "as this user (admin)", Completes::users}}, env_check, Who::user},
    {"env", "gc", "delete the files that no revision needs", {kOnlyUser}, {}, env_gc, Who::user},

    {"share", "create", "open a port of your workspace to others who are logged in", {Parameter{"PORT", "what listens in the workspace"}},
     {Option{"--with", "USER", "to this user", Completes::users}, Option{"--everybody", "", "to everybody who is logged in"},
      Option{"--for", "TIME", "how long: 24h (the default), 7d, at most 31d"}, Option{"--workspace", "NAME", "of this workspace of yours"}}, share_create, Who::user, kSsh},
    {"share", "list", "ports that are open to others now, yours and those open to you", {kOnlyUser}, {kEverybody}, share_list, Who::user},
    {"share", "end", "end a share at once, with the connections by it", {Parameter{"ID", "as `berth share list` shows it"}}, {}, share_end, Who::user},

    {"token", "create", "make an API token that speaks for you; it is shown once", {Parameter{"NAME", "what you call it"}},
     {Option{"--scope", "SCOPES", "read (the default), all, or areas: keys,users,sessions,workspaces,environments,certificates,audit"},
      Option{"--expires", "WHEN", "when it ends: 30d (the default), 12h, at most a year"}}, token_create, Who::user, kSsh},
    {"token", "list", "API tokens, their scopes and last use", {kOnlyUser}, {kEverybody}, token_list, Who::user},
    {"token", "revoke", "end an API token at once", {Parameter{"ID", "as `berth token list` shows it"}}, {}, token_revoke, Who::user},

    {"status", "", "how Berth is doing", {}, {}, show_status, Who::auditor},
    {"backup", "", "write a consistent copy of the store while berthd runs",
     {Parameter{"FILE", "made with mode 0600; it holds host keys and hashes of secrets: keep it safe", Completes::files}},
     {Option{"--force", "", "replace FILE when it exists"}}, backup, Who::admin, kAdminSocket},

    {"audit", "tail", "the newest audit rows", {},
     {Option{"--limit", "N", "how many (20)"}, kByUser, kByAction, kSince, kUntil, Option{"--follow", "", "and new ones as they come", Completes::nothing, "-f"}},
     audit_tail, Who::auditor},
    {"audit", "show", "one row with all its fields", {Parameter{"N", "its number"}}, {}, audit_show, Who::auditor},
    {"audit", "export", "all rows, or those that match, oldest first", {},
     {Option{"--jsonl", "", "one JSON object a line (the only format)"}, kByUser, kByAction, kSince, kUntil}, audit_export, Who::auditor},
    {"audit", "verify", "check the whole chain of audit rows", {},
     {Option{"--anchor", "N:HASH", "and that row N still has this hash, which an earlier verify printed"}}, audit_verify, Who::auditor},

    {"completion", "bash", "print the completion script: source <(berth completion bash)", {}, {}, completion_script, Who::user, kAdminSocket},
    // For that script; not in the help.
    {"completion", "words", "", {Parameter{"KIND", "users, workspaces, fingerprints or sessions"}}, {}, completion_words, Who::user, kAdminSocket},
};

constexpr Noun kNouns[] = {
    {"web", "print a link that logs your browser in"},
    {"approve", "log in the browser that shows a code"},
    {"whoami", "who you are here"},
    {"user", "people who may log in"},
    {"key", "their SSH public keys"},
    {"hostkey", "how clients recognize this server"},
    {"ca", "authorities whose certificates are accepted"},
    {"cert", "a certificate for a key of yours"},
    {"session", "what they have open"},
    {"web-session", "browsers that are logged in"},
    {"workspace", "their containers"},
    {"env", "conda environments with revisions"},
    {"share", "ports of a workspace, opened to others for a time"},
    {"token", "tokens for scripts that use the HTTP API"},
    {"status", "how Berth is doing"},
    {"backup", "a copy of the store"},
    {"audit", "who did what"},
    {"completion", "completion for a shell"},
};

}  // namespace

std::span<const Command> all_commands() { return kCommands; }
std::span<const Noun> all_nouns() { return kNouns; }

}  // namespace berth::cli
