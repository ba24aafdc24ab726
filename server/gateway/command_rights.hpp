// Which of the gateway's own commands a restricted key or a certificate may run.
#pragma once
#include <string>
#include <string_view>

#include "server/gateway/context.hpp"

namespace berth::server {

// Why this login may not run `command_line` ("berth …"), for the user; empty: it may. A key with restrictions could lift them by most of
// these commands (a new key, a browser), and a certificate could outlive itself (a key, another certificate, a token).
std::string refusal_of_command(const auth::Permissions& may, bool by_certificate, std::string_view command_line);
inline std::string refusal_of_command(const Connection& connection, std::string_view command_line) {
  return refusal_of_command(connection.permissions, !connection.certificate.empty(), command_line);
}

}  // namespace berth::server
