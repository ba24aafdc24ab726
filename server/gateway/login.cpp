// Logging in by SSH: a request at a time, by key or by certificate.
#include <boost/asio/this_coro.hpp>

#include "auth/key_clock.hpp"
#include "base/human.hpp"
#include "base/log.hpp"
#include "server/gateway/credentials.hpp"
#include "server/gateway/gateway.hpp"
#include "server/gateway/spawn.hpp"

namespace berth::server {
namespace asio = boost::asio;
namespace {

// A refusal that says something about a known key, or a certificate of a trusted authority, gets a row; unknown names and keys are only
// counted and logged. A client that is told that a key will not do never signs with it, so the mere offer counts too, and is called that.
void note_refusal(GatewayServices& services, const auth::Actor& actor, const std::string& why, bool proven) {
  const auto left_out = services.refused_uses.take(actor.key_fingerprint, actor.source, proven, services.clock.now());
  if (!left_out) return;
  std::string outcome = why + (proven ? "" : " (offered)");
  if (*left_out > 0) outcome += ", and " + std::to_string(*left_out) + " times more before";
  services.audit.note(actor, "ssh.login", actor.name, std::move(outcome));
}

// The first login with a key: those that it replaced, and that were to go then, go.
asio::awaitable<void> retire_older(GatewayServices services, auth::Actor actor, std::int64_t key_id) {
  auto retired = co_await services.directory.retire_older(actor, key_id);
  if (!retired) {
    log_error("keys.retire", {{"user", actor.name}, {"error", retired.error().message}});
    co_return;
  }
  for (const auth::Key& key : *retired) services.sessions.kill_key(key.fingerprint, auth::words_for_ended(key, services.directory.judge(key)));
}

}  // namespace

std::shared_ptr<Connection> Gateway::try_certificate(ServerLane& lane, const std::shared_ptr<ssh::Session>& session, const ssh::AuthRequest& request,
                                                     const std::string& client, const std::string& server, std::string& why, bool& is_known) {
  const auto id = workspaces::parse_login_name(request.user);
  auth::CertificateDecision decision = services_.authorities.decide(*lane.reader, id ? id->user : "-", request.key.blob, address_of(client));
  why = decision.allowed ? refusal_by(decision.permissions, request, client) : "certificate: " + decision.why;
  if (decision.allowed && why.empty()) {
    // The certified key is held to the policy like one that was added just now.
    decision.key.added_at = services_.clock.now();
    decision.key.exceptions = decision.user.key_exceptions;
    auth::KeyRefusal refusal = services_.directory.judge(decision.key).refusal;
    if (refusal == auth::KeyRefusal::none && request.is_signed)
      refusal = auth::check_touch(decision.key, services_.directory.policy(), services_.clock.now(), request.authenticator_flags.value_or(0));
    if (refusal != auth::KeyRefusal::none) why = auth::words_of(refusal);
  }
  const bool allowed = id && decision.allowed && why.empty();
  const std::string name = decision.user.name.empty() && decision.by_authority ? cut_to_width(printable(request.user), 64) : decision.user.name;
  const auth::Actor actor{name, decision.user.role, client, decision.key.fingerprint, decision.certificate};
  is_known = decision.by_authority;
  if (!allowed && is_known) note_refusal(services_, actor, why, request.is_signed);
  if (allowed && request.is_signed) services_.audit.note(actor, "ssh.login", name, "ok");
  session->answer_auth(allowed);
  if (!allowed || !request.is_signed) return nullptr;
  logins_.fetch_add(1, std::memory_order_relaxed);
  Connection connection{services_, lane, session, std::move(decision.user), std::move(decision.key), *id, client, server};
  connection.permissions = std::move(decision.permissions);
  connection.certificate = std::move(decision.certificate);
  connection.certificate_blob = request.key.blob;
  return std::make_shared<Connection>(std::move(connection));
}

asio::awaitable<std::shared_ptr<Connection>> Gateway::log_in(ServerLane& lane, std::shared_ptr<ssh::Session> session, std::string client,
                                                             std::string server) {
  const auto executor = co_await asio::this_coro::executor;
  if (!services_.options.banner.empty()) session->send_banner(services_.options.banner);
  std::string last_user;
  std::string last_why = "no key was tried";
  bool known_key = false;
  for (;;) {
    Result<ssh::AuthRequest> request = co_await session->next_auth_request();
    if (!request) {
      failed_logins_.fetch_add(1, std::memory_order_relaxed);
      // Who spoke no SSH or gave no name was no login; known keys have had their row.
      if (!last_user.empty() && !known_key) services_.audit.note_refusal({{}, auth::Role::user, client, {}}, "ssh.login", last_user, last_why);
      log_info("ssh.login_failed", {{"user", last_user.substr(0, 64)}, {"from", client}, {"why", last_why}, {"end", request.error().message}});
      co_return nullptr;
    }
    last_user = request->user;
    if (request->method == "publickey" && auth::is_certificate_type(request->key.type)) {
      auto connection = try_certificate(lane, session, *request, client, server, last_why, known_key);
      if (connection) co_return connection;
      continue;
    }
    const auto id = workspaces::parse_login_name(request->user);
    // An impossible name takes the same path as an unknown one: the same work, the same answer.
    const auth::LoginDecision decision = services_.directory.decide_login(*lane.reader, id ? id->user : "-", request->key.blob);
    auth::KeyRefusal touch = auth::KeyRefusal::none;
    if (request->is_signed) touch = auth::check_touch(decision.key, services_.directory.policy(), services_.clock.now(), request->authenticator_flags.value_or(0));
    auth::Permissions permissions;
    const std::string options_refuse = decision.allowed() ? refusal_by_options(decision.key, *request, client, permissions) : "";
    const bool allowed = id && request->method == "publickey" && decision.allowed() && touch == auth::KeyRefusal::none && options_refuse.empty();
    last_why = decision.allowed() ? auth::words_of(touch) : decision.why();
    if (!options_refuse.empty()) last_why = options_refuse;
    known_key = decision.key.id != 0;
    if (!allowed || !request->is_signed) {
      const auth::Actor actor{decision.user.name, decision.user.role, client, decision.key.fingerprint};
      if (!allowed && known_key) note_refusal(services_, actor, last_why, request->is_signed);
      // Whoever signs with a known key is its holder, and may know why it will not do; whoever only names one may not.
      if (!allowed && known_key && request->is_signed) session->send_banner("berth: this login was refused: " + last_why + "\r\n");
      session->answer_auth(allowed);
      continue;
    }
    session->answer_auth(true);
    logins_.fetch_add(1, std::memory_order_relaxed);
    services_.directory.note_key_use(decision.key.id, client);
    const auth::Actor actor{decision.user.name, decision.user.role, client, decision.key.fingerprint};
    if (decision.key.retires_older) spawn_logged(executor, retire_older(services_, actor, decision.key.id), "keys.retire");
    services_.audit.note(actor, "ssh.login", decision.user.name, "ok");
    co_return std::make_shared<Connection>(Connection{services_, lane, session, decision.user, decision.key, *id, client, server, std::move(permissions)});
  }
}

}  // namespace berth::server
