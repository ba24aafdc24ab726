// Which forwards a user may have: the site's rules (ssh.forwards, ssh.permit_open, ssh.permit_listen), each of which the user's own replaces, as a
// "Match User" block of sshd_config replaces AllowTcpForwarding, PermitOpen and PermitListen. What a key's options or a certificate take away
// (permissions.hpp) stays away. Plain values and pure functions.
#pragma once
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "auth/model.hpp"
#include "auth/permissions.hpp"
#include "base/result.hpp"

namespace berth::auth {

// "local" (-L and -D to ports), "remote" (-R of ports), "unix" (Unix sockets, -L and -R), "agent", "x11".
bool is_forward_kind(std::string_view kind);

// Error{invalid} names what is no kind, or no PermitOpen or PermitListen.
Result<void> check_forward_rules(const ForwardRules& rules);

// Rules as JSON: in the store and in the HTTP API (docs/api.md, "Forwards").
nlohmann::json to_json(const ForwardRules& rules);
// Error{invalid} names a field that is unknown or malformed, or says that nothing is set.
Result<ForwardRules> forward_rules_in(const nlohmann::json& document);
// The column users.forwards; empty when none is set. A text that cannot be read allows nothing.
std::string stored_form(const ForwardRules& rules);
ForwardRules stored_forward_rules(std::string_view text);

class ForwardPolicy {
 public:
  ForwardPolicy(const ForwardRules& site, const ForwardRules& user) : site_(site), user_(user) {}

  // Why not, as the audit trail says it; empty: it may. Lists name hosts and ports only: of Unix sockets the kind alone decides, as in sshd.
  std::string_view refusal_of(std::string_view kind) const;
  std::string_view refusal_to_connect(std::string_view host, std::uint32_t port) const;
  std::string_view refusal_to_listen(std::string_view host, std::uint32_t port) const;

 private:
  const ForwardRules site_, user_;
};

inline constexpr char kForwardNotBySite[] = "the site does not allow this kind of forward";
inline constexpr char kForwardNotThereBySite[] = "the site does not allow forwards there";
inline constexpr char kForwardNotByUser[] = "the user's forwards do not allow it";

}  // namespace berth::auth
