// What a login shows beyond that a key is known: the options of the key, or a certificate.
#pragma once
#include <string>
#include <string_view>

#include "server/gateway/context.hpp"

namespace berth::server {

// "203.0.113.7:51514" and "[2001:db8::7]:51514" without port and brackets.
std::string address_of(std::string_view client);

// Whether a login with this request may go on under `permissions`, for the log: where it comes from, and whether PIN or fingerprint were checked.
// Empty: it may.
std::string refusal_by(const auth::Permissions& permissions, const ssh::AuthRequest& request, std::string_view client);

// The options of a stored key, as `permissions`; why they refuse this login, or "".
std::string refusal_by_options(const auth::Key& key, const ssh::AuthRequest& request, std::string_view client, auth::Permissions& permissions);

}  // namespace berth::server
