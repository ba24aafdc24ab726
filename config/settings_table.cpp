#include "config/settings_table.hpp"

namespace berth::config {
namespace {

// Settings::*Section, Section::*Field: one instance for each row.
template <auto Section, auto Field>
std::string read(Settings& into, const toml::node& node, const Limits& limits) {
  return read_value((into.*Section).*Field, node, limits);
}

constexpr std::string_view kLogLevels[] = {"debug", "info", "warn", "error"};
constexpr std::string_view kHostKeyTypes[] = {"ed25519", "ecdsa", "rsa"};
constexpr std::string_view kKeyTypes[] = {"ssh-ed25519",
                                          "ecdsa-sha2-nistp256",
                                          "ecdsa-sha2-nistp384",
                                          "ecdsa-sha2-nistp521",
                                          "ssh-rsa",
                                          "sk-ssh-ed25519@openssh.com",
                                          "sk-ecdsa-sha2-nistp256@openssh.com"};

constexpr std::string_view kForwards[] = {"local", "remote", "unix", "agent", "x11"};
constexpr std::string_view kSelfService[] = {"list", "add", "rotate", "remove"};
constexpr std::string_view kAuditCopies[] = {"none", "journald", "syslog"};

constexpr std::string_view kSharing[] = {"users", "admins"};

constexpr SettingsSection kSections[] = {
    {"server", "berthd itself."},
    {"ssh", "The SSH door."},
    {"web", "The HTTPS door. The portal and what workspaces serve have two origins: two ports of one host."},
    {"admin", "The socket of the berth command line on this machine."},
    {"keeper", "berth-keeper, the only program that reaches the container engine. Images and limits stand in its own file."},
    {"workspaces", "What every workspace gets."},
    {"audit", "The audit trail: who did what, in the store."},
    {"environments", "Conda environments (docs/environments.md). Where they lie, their channels and limits stand in the keeper's file."},
    {"certificates", "OpenSSH certificates that Berth itself issues. Those of other authorities: `berth ca add`."},
    {"keys", "Which public keys may be used, and for how long: for keys that are in the store already too. `berth user except` makes exceptions."},
};

using S = Settings;
constexpr std::int64_t kDay = 86400;

constexpr SettingsKey kKeys[] = {
    {"server", "state_dir", read<&S::server, &S::Server::state_dir>, R"("/var/lib/berth")",
     "Where the store (users, keys, sessions, audit) and the self-signed certificate live."},
    {"server", "run_dir", read<&S::server, &S::Server::run_dir>, R"("/run/berth")", "Where the sockets are made."},
    {"server", "lanes", read<&S::server, &S::Server::lanes>, "0", "Threads that serve connections; 0: one per core.", {0, 256}},
    {"server", "drain", read<&S::server, &S::Server::drain>, R"("30s")",
     "How long connections may go on after a stop is asked for.", {0, kDay}},
    {"server", "upgrade_drain", read<&S::server, &S::Server::upgrade_drain>, R"("12h")",
     "After an upgrade (systemctl reload berthd): how long the berthd that was replaced goes on serving the connections that it has.", {0, 30 * kDay}},
    {"server", "log_level", read<&S::server, &S::Server::log_level>, R"("info")", "debug, info, warn or error.", {0, 0, kLogLevels}},

    {"ssh", "listen", read<&S::ssh, &S::Ssh::listen>, R"(["0.0.0.0:2222", "[::]:2222"])", "Addresses to listen on; [::] is IPv6 only, and is passed over on a machine without IPv6."},
    {"ssh", "public_host", read<&S::ssh, &S::Ssh::public_host>, R"("")",
     "The name that users type; empty: the host name of this machine."},
    {"ssh", "public_port", read<&S::ssh, &S::Ssh::public_port>, "0", "The port that users type; 0: the first one listened on.", {0, 65535}},
    {"ssh", "login_grace", read<&S::ssh, &S::Ssh::login_grace>, R"("2m")", "A client that has not logged in by then is disconnected.",
     {1, 3600}},
    {"ssh", "keepalive_interval", read<&S::ssh, &S::Ssh::keepalive_interval>, R"("30s")",
     "A silent client is asked this often whether it is still there; 0s: never.", {0, kDay}},
    {"ssh", "keepalive_limit", read<&S::ssh, &S::Ssh::keepalive_limit>, "3", "Unanswered questions until a client counts as gone.",
     {1, 1000}},
    {"ssh", "rekey_after", read<&S::ssh, &S::Ssh::rekey_after>, R"("1h")", "Keys of a connection are exchanged anew after this time; 0s: never for that reason.",
     {0, kDay}},
    {"ssh", "rekey_bytes", read<&S::ssh, &S::Ssh::rekey_bytes>, "0", "The same after so many bytes; 0: as many as the cipher bears (1 GiB for chacha20).",
     {0, std::int64_t{1} << 40}},
    {"ssh", "max_auth_tries", read<&S::ssh, &S::Ssh::max_auth_tries>, "6", "Keys that a client may offer in one connection.", {1, 100}},
    {"ssh", "max_startups", read<&S::ssh, &S::Ssh::max_startups>, R"("64:30:128")",
     "Connections at once that have not logged in yet: from 64 on new ones are dropped with a chance of 30 percent, which grows to all at 128.", {1, 100000}},
    {"ssh", "tries_slow_after", read<&S::ssh, &S::Ssh::tries_slow_after>, "10",
     "After so many failed logins of one address within tries_within its next ones have to wait, ever longer, up to 5 s.", {1, 1000000}},
    {"ssh", "tries_refuse_after", read<&S::ssh, &S::Ssh::tries_refuse_after>, "100",
     "After so many it is refused for a while. A network (IPv4 /24, IPv6 /48; an IPv6 address counts as its /64) may have four times as many.", {1, 1000000}},
    {"ssh", "tries_within", read<&S::ssh, &S::Ssh::tries_within>, R"("10m")", "A failed login is forgotten after this; tries_refuse_after are, evenly, in this time.", {1, kDay}},
    {"ssh", "tries_exempt", read<&S::ssh, &S::Ssh::tries_exempt>, R"(["127.0.0.0/8", "::1"])",
     "Addresses and networks of which failed logins do not count: probes, balancers, bastions with many users."},
    {"ssh", "proxy_protocol_from", read<&S::ssh, &S::Ssh::proxy_protocol_from>, "[]",
     "Balancers that say by PROXY protocol version 2 for whom they connect; they must then say so on each connection."},
    {"ssh", "max_connections_per_user", read<&S::ssh, &S::Ssh::max_connections_per_user>, "256", "SSH connections of one user at once.",
     {1, 100000}},
    {"ssh", "max_sessions_per_user", read<&S::ssh, &S::Ssh::max_sessions_per_user>, "1024", "Shells and commands of one user at once, over all connections.",
     {1, 100000}},
    {"ssh", "max_channels", read<&S::ssh, &S::Ssh::max_channels>, "256", "Channels (shells, commands, tunnels) in one connection.",
     {1, 4096}},
    {"ssh", "host_key_types", read<&S::ssh, &S::Ssh::host_key_types>, R"(["ed25519", "rsa"])",
     "Host keys that are made when missing: ed25519, ecdsa, rsa. Later by `berth hostkey rotate`.", {0, 0, kHostKeyTypes}},
    {"ssh", "env_allow", read<&S::ssh, &S::Ssh::env_allow>,
     R"(["LANG", "LC_*", "TZ", "COLORTERM", "TERM_PROGRAM", "TERM_PROGRAM_VERSION", "NO_COLOR", "GIT_PROTOCOL", "EDITOR"])",
     "Environment variables that a client may set; a final * matches any rest."},
    {"ssh", "forwards", read<&S::ssh, &S::Ssh::forwards>, R"(["local", "remote", "unix", "agent", "x11"])",
     "Kinds of forward that are allowed: local (-L and -D to ports), remote (-R of ports), unix (Unix sockets, -L and -R), agent (-A), x11 (-X).", {0, 0, kForwards}},
    {"ssh", "permit_open", read<&S::ssh, &S::Ssh::permit_open>, R"(["any"])",
     "Where local forwards may go, as sshd's PermitOpen: HOST:PORT (either may be *), or only \"any\" or \"none\". `berth user forwards` sets this and forwards for one user."},
    {"ssh", "permit_listen", read<&S::ssh, &S::Ssh::permit_listen>, R"(["any"])",
     "Where remote forwards may listen, as sshd's PermitListen: [HOST:]PORT, or only \"any\" or \"none\"."},
    {"ssh", "compression", read<&S::ssh, &S::Ssh::compression>, "false",
     "Compression for clients that ask for it (ssh -C), after login. It costs processor time and 300 KiB of memory for each connection, and helps on slow links only."},
    {"ssh", "keep_terminals", read<&S::ssh, &S::Ssh::keep_terminals>, R"("10m")",
     "A terminal whose connection was lost goes on for this long, for `berth attach`; 0s: it ends. Users may choose (BERTH_KEEP).", {0, 30 * kDay}},
    {"ssh", "keep_terminals_most", read<&S::ssh, &S::Ssh::keep_terminals_most>, R"("24h")", "The longest that a user may choose.",
     {0, 30 * kDay}},
    {"ssh", "banner", read<&S::ssh, &S::Ssh::banner>, R"("")", "Text that clients show before login; empty: none."},
    {"ssh", "message_of_the_day", read<&S::ssh, &S::Ssh::message_of_the_day>, R"("")", "Text for people who open a shell; empty: none."},
    {"ssh", "show_state", read<&S::ssh, &S::Ssh::show_state>, "true", "They are told in one line what their workspace does."},

    {"web", "listen", read<&S::web, &S::Web::listen>, R"(["0.0.0.0:8443", "[::]:8443"])", "Addresses of the portal."},
    {"web", "workspace_port_offset", read<&S::web, &S::Web::workspace_port_offset>, "1",
     "What workspaces serve is on the same addresses, at the portal's port plus this.", {1, 1000}},
    {"web", "certificate", read<&S::web, &S::Web::certificate>, R"("")",
     "PEM file with the certificate chain; read again when it changes. Empty: a self-signed one is made in state_dir."},
    {"web", "private_key", read<&S::web, &S::Web::private_key>, R"("")", "PEM file with the certificate's key."},
    {"web", "session_lifetime", read<&S::web, &S::Web::session_lifetime>, R"("12h")", "A browser logs in again after this.",
     {60, 365 * kDay}},
    {"web", "ui_dir", read<&S::web, &S::Web::ui_dir>, R"("/usr/share/berth/ui")", "The pages of the portal."},
    {"web", "public_url", read<&S::web, &S::Web::public_url>, R"("")",
     "The portal as browsers reach it, \"https://HOST[:PORT]\"; empty: ssh.public_host and the first port listened on."},
    {"web", "wildcard_domain", read<&S::web, &S::Web::wildcard_domain>, R"("")",
     "\"apps.box.example\": each port and Jupyter on its own origin https://N--WORKSPACE--USER.apps.box.example, for which *.apps.box.example must lead here. "
     "Needs public_url. \"DOMAIN:PORT\" when browsers come by another port than the workspaces'. Empty: paths on one origin, and no sharing."},
    {"web", "watch_terminals", read<&S::web, &S::Web::watch_terminals>, "false",
     "Administrators may look at users' terminals on the pages, without typing. Each look is in the audit trail and among the user's sessions, where they can end it."},

    {"admin", "socket", read<&S::admin, &S::Admin::socket>, R"("")", "Empty: admin.sock in run_dir."},
    {"admin", "socket_group", read<&S::admin, &S::Admin::socket_group>, R"("")",
     "Members of this group may administer Berth; empty: the group that berthd runs as."},

    {"keeper", "socket", read<&S::keeper, &S::Keeper::socket>, R"("")", "Empty: keeper.sock in run_dir."},

    {"workspaces", "agent_socket_root", read<&S::workspaces, &S::Workspaces::agent_socket_root>, R"("")",
     "Each workspace has a directory under this one, in which berthd waits for its agent. Empty: agents in run_dir."},

    {"audit", "keep", read<&S::audit, &S::Audit::keep>, R"("0s")",
     "Rows older than this (\"400d\") are forgotten, the chain of the rest stays verifiable; 0s: all are kept.", {0, 36500 * kDay}},
    {"audit", "copy_to", read<&S::audit, &S::Audit::copy_to>, R"("none")",
     "Each row also goes to the machine's log: none, journald or syslog.", {0, 0, kAuditCopies}},

    {"environments", "sharing", read<&S::environments, &S::Environments::sharing>, R"("users")",
     "Who may make environments that everybody can use: users, or admins only.", {0, 0, kSharing}},
    {"environments", "verify_every", read<&S::environments, &S::Environments::verify_every>, R"("0s")",
     "Each environment is built again aside and compared so often (\"7d\"); 0s: only when somebody asks.", {0, 365 * kDay}},

    {"certificates", "lifetime", read<&S::certificates, &S::Certificates::lifetime>, R"("0s")",
     "How long the certificates live that users get by `ssh HOST berth cert` (\"8h\"); 0s: they get none.", {0, 366 * kDay}},

    {"keys", "allowed_types", read<&S::keys, &S::Keys::allowed_types>,
     R"(["ssh-ed25519", "ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384", "ecdsa-sha2-nistp521", "ssh-rsa", "sk-ssh-ed25519@openssh.com", "sk-ecdsa-sha2-nistp256@openssh.com"])",
     "Types of key; ssh-rsa means RSA keys, used with SHA-2 signatures only.", {0, 0, kKeyTypes}},
    {"keys", "min_rsa_bits", read<&S::keys, &S::Keys::min_rsa_bits>, "2048", "The least size of an RSA key.", {2048, 16384}},
    {"keys", "max_age", read<&S::keys, &S::Keys::max_age>, R"("0s")",
     "A key stops working this long after it was added (\"365d\"); 0s: keys need not expire.", {0, 36500 * kDay}},
    {"keys", "warn_before", read<&S::keys, &S::Keys::warn_before>, R"("14d")",
     "So long before a key stops working its user is told at each login; 0s: never.", {0, 365 * kDay}},
    {"keys", "grace", read<&S::keys, &S::Keys::grace>, R"("7d")",
     "So long a key works on after another has replaced it; users may choose less, admins may choose.", {0, 3650 * kDay}},
    {"keys", "max_per_user", read<&S::keys, &S::Keys::max_per_user>, "20", "Keys that a user may have at once; 0: any number.", {0, 100000}},
    {"keys", "require_hardware", read<&S::keys, &S::Keys::require_hardware>, "false",
     "Only keys on security tokens (sk-…) may log in."},
    {"keys", "require_touch", read<&S::keys, &S::Keys::require_touch>, "true",
     "A security token must have been touched for each login (keys made with no-touch-required are refused)."},
    {"keys", "self_service", read<&S::keys, &S::Keys::self_service>, R"(["list", "add", "rotate", "remove"])",
     "What users may do with their own keys without an admin.", {0, 0, kSelfService}},
};

}  // namespace

std::span<const SettingsSection> settings_sections() { return kSections; }
std::span<const SettingsKey> settings_keys() { return kKeys; }

}  // namespace berth::config
