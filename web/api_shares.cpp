// Ports that are open to others for a time.
#include "auth/shares.hpp"
#include "web/api.hpp"
#include "web/app_origin.hpp"
#include "web/lane_server.hpp"
#include "web/records.hpp"

namespace berth::web {
namespace asio = boost::asio;
namespace {

constexpr std::int64_t kDefaultLife = 24 * 3600;

nlohmann::json share_json(const LaneServer& lane, const auth::Share& share) {
  const auto label = app_label({{share.owner, share.workspace}, share.port});
  const bool reachable = label && lane.shared.origins.has_apps();
  return {{"id", share.id},
          {"owner", share.owner},
          {"workspace", share.workspace},
          {"port", share.port},
          {"with", share.with.empty() ? nlohmann::json() : nlohmann::json(share.with)},
          {"url", reachable ? nlohmann::json(lane.shared.origins.app_origin(*label) + "/") : nlohmann::json()},
          {"created_at", time_json(share.created_at)},
          {"expires_at", time_json(share.expires_at)}};
}

// Why this cannot be shared here.
Result<void> shareable(const LaneServer& lane, const Target& target) {
  if (!lane.shared.origins.has_apps()) {
    return Error{ErrorKind::conflict, "sharing needs an origin for each port (web.wildcard_domain in the settings): on the origin that workspaces share here, one "
                                      "user's page could act in another's workspace"};
  }
  if (!app_label(target)) return Error{ErrorKind::conflict, "the names of this workspace and its user are too long for a host name, so its ports cannot be shared"};
  return {};
}

}  // namespace

asio::awaitable<ApiReply> get_shares(ApiCall& call) {
  const std::string own = call.caller.admin_socket ? std::string() : call.caller.actor.name;
  std::string user = call.query("user").value_or(own);
  if (call.query_flag("all")) user.clear();
  if (user != own && !call.caller.reads_all()) co_return Error{ErrorKind::denied, "you may list your own shares only"};
  nlohmann::json items = nlohmann::json::array();
  for (const auth::Share& share : call.lane.services().shares.list(*call.lane.reader, user)) items.push_back(share_json(call.lane, share));
  co_return list_response(std::move(items));
}

asio::awaitable<ApiReply> post_share(ApiCall& call) {
  const auto workspace = call.text("workspace", call.caller.workspace.empty() ? "main" : call.caller.workspace);
  const auto with = call.text("with");
  const auto port = call.number("port"), lifetime = call.number("lifetime_s");
  if (!workspace) co_return workspace.error();
  if (!port) co_return port.error();
  if (!with) co_return with.error();
  if (!lifetime) co_return lifetime.error();
  if (!*port || **port < 1 || **port > 65535) co_return Error{ErrorKind::invalid, "'port' is a number from 1 to 65535"};
  const std::int64_t seconds = lifetime->value_or(kDefaultLife);
  if (seconds < 60 || seconds > std::chrono::seconds(auth::Shares::kLongest).count()) co_return Error{ErrorKind::invalid, "'lifetime_s' is a number of seconds from 60 to 31 days"};
  const auto id = workspaces::parse_login_name(call.caller.actor.name + "+" + *workspace);
  if (!id) co_return id.error();
  const auto number = static_cast<std::uint16_t>(**port);
  if (auto good = shareable(call.lane, {*id, number}); !good) co_return good.error();
  std::string visitor = *with;
  if (visitor == "*") visitor.clear();
  auto making = call.lane.services().shares.create(call.caller.actor, id->name, number, std::move(visitor), std::chrono::seconds(seconds));
  auto made = co_await std::move(making);
  if (!made) co_return made.error();
  co_return json_response(share_json(call.lane, *made), 201);
}

asio::awaitable<ApiReply> delete_share(ApiCall& call) {
  auto ended = co_await call.lane.services().shares.end(call.caller.actor, call.params[0]);
  if (!ended) co_return ended.error();
  call.lane.end_shares_everywhere();
  co_return json_response(share_json(call.lane, *ended));
}

}  // namespace berth::web
