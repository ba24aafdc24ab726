// What only somebody who has just shown their SSH key may ask: a browser's login, and who they are.
#include "auth/audit.hpp"
#include "web/api.hpp"
#include "web/lane_server.hpp"
#include "web/records.hpp"

namespace berth::web {
namespace asio = boost::asio;
namespace {

constexpr std::chrono::seconds kLinkLifetime{60};

}  // namespace

asio::awaitable<ApiReply> post_ssh_link(ApiCall& call) {
  auto token = co_await call.lane.services().logins.make_link(call.caller.actor);
  if (!token) co_return token.error();
  call.audit("web.link", call.caller.actor.name, {});
  const std::string url = call.lane.shared.options.link_url + "/login#token=" + *token;
  co_return json_response({{"url", url}, {"expires_in_s", kLinkLifetime.count()}});
}

asio::awaitable<ApiReply> post_ssh_approve(ApiCall& call) {
  const auto code = call.text("code");
  if (!code) co_return code.error();
  const auto dry_run = call.flag("dry_run", false);
  if (!dry_run) co_return dry_run.error();
  auto& logins = call.lane.services().logins;
  const Result<auth::PendingLogin> pending = logins.find_code(*call.lane.reader, call.caller.actor, *code);
  if (!pending) {
    call.lane.services().audit.note_refusal(call.caller.actor, "web.approve", call.caller.actor.name, pending.error().message);
    co_return pending.error();
  }
  if (!*dry_run) {
    auto approved = co_await logins.approve_code(call.caller.actor, *code);
    if (!approved) co_return approved.error();
  }
  co_return json_response({{"user", call.caller.actor.name}, {"address", pending->address}, {"user_agent", pending->user_agent}});
}

asio::awaitable<ApiReply> get_ssh_whoami(ApiCall& call) {
  const auth::Actor& actor = call.caller.actor;
  const auto& services = call.lane.services();
  const auto key = services.directory.find_key(*call.lane.reader, actor.key_fingerprint);
  nlohmann::json me = {{"user", {{"name", actor.name}, {"role", auth::name_of(actor.role)}}},
                       {"workspace", call.caller.workspace},
                       {"address", actor.source},
                       {"key", nullptr}};
  if (key) me["key"] = to_json(*key, services.directory.judge(*key));
  co_return json_response(me);
}

}  // namespace berth::web
