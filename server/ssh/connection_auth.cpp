// RFC 4252 on the server's side. libssh is left only one thing: verifying the signature of a publickey request. All other
// methods, which libssh would parse too, never reach it.
#include "server/ssh/connection.hpp"
#include "server/ssh/wire.hpp"

namespace berth::ssh {
namespace asio = boost::asio;

namespace {
constexpr std::size_t kMaxQueuedAuthRequests = 8;
// An agent with many keys asks about each: such questions are not tries, but there is an end to them.
constexpr int kQueriesPerTry = 4;
}  // namespace

void Connection::on_service_request(std::string_view payload) {
  WireReader in(payload);
  const std::string_view service = in.string();
  if (service != "ssh-userauth" || authenticated_) {
    violation("a request for a service that is not on offer");
    return;
  }
  service_accepted_ = true;
  send(WireWriter(kMsgServiceAccept).string(service).bytes());
}

// False: a signed request, which libssh verifies now; settle_signed_request looks at what it found.
bool Connection::on_userauth_request(std::string_view payload) {
  Result<ParsedAuthRequest> parsed = parse_userauth_request(payload);
  if (!parsed) {
    violation(parsed.error().message);
    return true;
  }
  const bool user_changed = !user_.empty() && user_ != parsed->request.user;
  if (!service_accepted_ || parsed->service != "ssh-connection" || user_changed) {
    violation(user_changed ? "a change of the user's name" : "authentication for a service that is not on offer");
    return true;
  }
  user_ = parsed->request.user;
  auth_started_ = true;
  if (!banner_.empty()) send_banner(std::exchange(banner_, {}));
  AuthEntry entry{std::move(parsed->request), std::move(parsed->algorithm)};
  if (entry.request.is_signed) {
    signed_request_ = std::move(entry);
    return false;
  }
  queue_auth(std::move(entry));
  return true;
}

void Connection::settle_signed_request() {
  if (!signed_request_) return;
  AuthEntry entry = std::move(*std::exchange(signed_request_, std::nullopt));
  std::optional<PublicKey> verified = transport_->take_verified_key();
  // What was verified is what is decided on: never a key that only our own parser saw.
  if (!verified || verified->blob != entry.request.key.blob) {
    refuse_auth(true);
    return;
  }
  entry.request.key = std::move(*verified);
  queue_auth(std::move(entry));
}

void Connection::queue_auth(AuthEntry entry) {
  if (auth_queue_.size() == kMaxQueuedAuthRequests) {
    violation("too many authentication requests at once");
    return;
  }
  auth_queue_.push_back(std::move(entry));
  auth_requested_.notify();
}

asio::awaitable<Result<AuthRequest>> Connection::next_auth_request() {
  while (auth_queue_.empty()) {
    if (end_) co_return *end_;
    co_await auth_requested_.wait();
  }
  if (end_) co_return *end_;
  auth_current_ = std::move(auth_queue_.front());
  auth_queue_.erase(auth_queue_.begin());
  co_return auth_current_->request;
}

void Connection::answer_auth(bool accept) {
  if (!auth_current_ || end_) return;
  const AuthEntry entry = std::move(*std::exchange(auth_current_, std::nullopt));
  const bool is_key = entry.request.method == "publickey";
  if (!accept || !is_key) {
    refuse_auth(is_key ? entry.request.is_signed : entry.request.method != "none");
    return;
  }
  if (!entry.request.is_signed) {
    send(WireWriter(kMsgUserauthPkOk).string(entry.algorithm).string(entry.request.key.blob).bytes());
    return;
  }
  transport_->send_auth_success();
  authenticated_ = true;
  auth_queue_.clear();
  announce_host_keys();
  watch_.cancel();  // from the time to log in to keepalives
}

void Connection::refuse_auth(bool counts) {
  ++(counts ? failed_tries_ : failed_queries_);
  if (failed_tries_ >= options_->max_auth_tries || failed_queries_ > options_->max_auth_tries * kQueriesPerTry) {
    disconnect(kDisconnectNoMoreAuthMethods, "Too many authentication failures.");
    return;
  }
  send(WireWriter(kMsgUserauthFailure).string("publickey").boolean(false).bytes());
}

void Connection::send_banner(std::string_view text) {
  if (authenticated_) return;
  if (!auth_started_) {  // OpenSSH drops a banner that comes before it has begun to log in
    banner_ += text;
    return;
  }
  send(WireWriter(kMsgUserauthBanner).string(text).string("").bytes());
}

}  // namespace berth::ssh
