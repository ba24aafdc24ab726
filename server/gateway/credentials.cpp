#include "server/gateway/credentials.hpp"

#include "auth/key_options.hpp"

namespace berth::server {

std::string address_of(std::string_view client) {
  std::string_view address = client.substr(0, client.rfind(':'));
  if (address.starts_with('[') && address.ends_with(']')) address = address.substr(1, address.size() - 2);
  return std::string(address);
}

std::string refusal_by(const auth::Permissions& permissions, const ssh::AuthRequest& request, std::string_view client) {
  if (permissions.from && !auth::source_allowed(*permissions.from, address_of(client))) return "not from this address";
  // Only a signature says what the hardware checked; a mere question is answered without.
  const bool verified = (request.authenticator_flags.value_or(0) & ssh::kUserVerified) != 0;
  if (permissions.verify_required && request.is_signed && !verified) return "PIN or fingerprint was not checked";
  return {};
}

std::string refusal_by_options(const auth::Key& key, const ssh::AuthRequest& request, std::string_view client, auth::Permissions& permissions) {
  Result<auth::Permissions> parsed = auth::permissions_of(key.options);
  if (!parsed) return "the key's stored options cannot be read";
  permissions = std::move(*parsed);
  return refusal_by(permissions, request, client);
}

}  // namespace berth::server
