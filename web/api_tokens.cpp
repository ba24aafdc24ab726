// API tokens of people.
#include "auth/tokens.hpp"
#include "web/api.hpp"
#include "web/lane_server.hpp"
#include "web/records.hpp"
#include "web/scopes.hpp"

namespace berth::web {
namespace asio = boost::asio;
namespace {

constexpr std::chrono::seconds kDefaultLife = std::chrono::hours(24 * 30);

Result<std::chrono::seconds> lifetime_in(const nlohmann::json& body) {
  const auto given = body.find("lifetime_s");
  if (given == body.end() || given->is_null()) return kDefaultLife;
  constexpr std::int64_t kMost = std::chrono::seconds(auth::Tokens::kLongest).count();
  const bool fits = given->is_number_integer() && *given >= 60 && *given <= kMost;
  if (!fits) return Error{ErrorKind::invalid, "'lifetime_s' is a whole number of seconds from 60 to " + std::to_string(kMost)};
  return std::chrono::seconds(given->get<std::int64_t>());
}

}  // namespace

asio::awaitable<ApiReply> post_token(ApiCall& call) {
  const auto name = call.text("name");
  if (!name) co_return name.error();
  const auto scopes = parse_scopes(call.body.value("scopes", nlohmann::json::array({"read"})));
  if (!scopes) co_return scopes.error();
  const auto lifetime = lifetime_in(call.body);
  if (!lifetime) co_return lifetime.error();
  auto made = co_await call.lane.services().tokens.create(call.caller.actor, *name, *scopes, *lifetime);
  if (!made) co_return made.error();
  co_return json_response({{"secret", made->secret}, {"token", to_json(made->token, call.lane.services().clock.now())}}, 201);
}

asio::awaitable<ApiReply> get_tokens(ApiCall& call) {
  const std::string own = call.caller.admin_socket ? std::string() : call.caller.actor.name;
  std::string user = call.query("user").value_or(own);
  if (call.query_flag("all")) user.clear();
  if (user != own && !call.caller.reads_all()) co_return Error{ErrorKind::denied, "you may list your own tokens only"};
  nlohmann::json items = nlohmann::json::array();
  const Timestamp now = call.lane.services().clock.now();
  for (const auth::ApiToken& token : call.lane.services().tokens.list(*call.lane.reader, user)) items.push_back(to_json(token, now));
  co_return list_response(std::move(items));
}

asio::awaitable<ApiReply> delete_token(ApiCall& call) {
  auto revoked = co_await call.lane.services().tokens.revoke(call.caller.actor, call.params[0]);
  if (!revoked) co_return revoked.error();
  co_return json_response(to_json(*revoked, call.lane.services().clock.now()));
}

}  // namespace berth::web
