// The host keys of the SSH door. Anyone may read them: over HTTPS the certificate vouches for them.
#include "auth/host_keys.hpp"
#include "web/api.hpp"
#include "web/lane_server.hpp"
#include "web/records.hpp"

namespace berth::web {
namespace asio = boost::asio;
namespace {

constexpr std::int64_t kDefaultOverlap = 30 * 86400;  // seconds

nlohmann::json to_json(const auth::HostKey& key) {
  return {{"fingerprint", key.fingerprint},
          {"type", key.type},
          {"public_key", auth::public_line(key)},
          {"state", key.active ? "active" : "next"},
          {"created_at", time_json(key.created_at)},
          {"retires_at", time_json(key.retires_at)}};
}

Error no_host_keys() { return Error{ErrorKind::unavailable, "this server has no SSH door"}; }

asio::awaitable<Result<std::string>> generate(const auth::HostKeys& keys, std::string type) { co_return keys.generate(type); }

}  // namespace

asio::awaitable<ApiReply> get_host_keys(ApiCall& call) {
  const auth::HostKeys* keys = call.lane.services().host_keys;
  if (!keys) co_return no_host_keys();
  const WebOptions& options = call.lane.shared.options;
  const auth::HostKeys::Snapshot current = keys->current();
  nlohmann::json items = nlohmann::json::array();
  for (const auth::HostKey& key : *current) items.push_back(to_json(key));
  co_return json_response({{"items", std::move(items)},
                           {"known_hosts", auth::known_hosts_text(*current, options.host_name, options.ssh_port)},
                           {"sshfp", auth::sshfp_text(*current, options.host_name)}});
}

asio::awaitable<ApiReply> post_host_key(ApiCall& call) {
  auth::HostKeys* keys = call.lane.services().host_keys;
  if (!keys) co_return no_host_keys();
  const auto type = call.text("type");
  if (!type) co_return type.error();
  const auto overlap = call.number("overlap_s");
  if (!overlap) co_return overlap.error();
  // An RSA key takes up to seconds: not on a lane.
  auto made = co_await asio::co_spawn(call.lane.shared.background, generate(*keys, *type), asio::use_awaitable);
  if (!made) co_return made.error();
  auto key = co_await keys->rotate(call.caller.actor, *type, std::move(*made), std::chrono::seconds(overlap->value_or(kDefaultOverlap)));
  if (!key) co_return key.error();
  co_return json_response(to_json(*key), 201);
}

asio::awaitable<ApiReply> delete_host_key(ApiCall& call) {
  auth::HostKeys* keys = call.lane.services().host_keys;
  if (!keys) co_return no_host_keys();
  auto retired = co_await keys->retire(call.caller.actor, call.params[0]);
  if (!retired) co_return retired.error();
  co_return json_response(nlohmann::json::object());
}

}  // namespace berth::web
