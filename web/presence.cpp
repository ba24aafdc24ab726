#include "web/presence.hpp"

#include "web/stream.hpp"

namespace berth::web {

Presences::Use::Use(std::shared_ptr<Presence> presence, Stream& stream, std::function<void()> end)
    : presence_(std::move(presence)), stream_(stream), end_(std::move(end)), next_(presence_->first_use) {
  if (next_) next_->previous_ = this;
  presence_->first_use = this;
}

Presences::Use::~Use() {
  (previous_ ? previous_->next_ : presence_->first_use) = next_;
  if (next_) next_->previous_ = previous_;
  presence_->last_used = std::chrono::steady_clock::now();
}

Presences::~Presences() {
  *alive_ = false;
  for (auto& [key, presence] : open_) sessions_.close(presence->live, "berthd stopped");
}

std::shared_ptr<Presences::Presence> Presences::find_or_open(const auth::WebSession& session, const workspaces::WorkspaceId& id,
                                                             const std::string& share, const std::string& client_address) {
  const Key key{session.id, id, share};
  auto& presence = open_[key];
  if (!presence) {
    presence = std::make_shared<Presence>();
    presence->session = session;
    auth::SessionRecord record;
    record.user = session.user;
    record.workspace = id.user == session.user ? id.name : id.user + "+" + id.name;
    record.kind = "web";
    record.detail = auth::browser_detail(session.id) + (share.empty() ? "" : " share " + share);
    record.key_fingerprint = session.key_fingerprint;
    record.client_address = client_address;
    presence->live = sessions_.open(std::move(record), executor_, [this, key, alive = alive_](std::string reason) {
      if (*alive) killed(key, reason);
    });
  }
  presence->last_used = std::chrono::steady_clock::now();
  return presence;
}

void Presences::close_streams(Presence& presence) {
  for (Use* use = presence.first_use; use; use = use->next_) {
    if (use->end_) use->end_();
    else use->stream_.close();
  }
}

void Presences::killed(const Key& key, std::string_view reason) {
  const auto found = open_.find(key);
  if (found == open_.end()) return;
  const std::shared_ptr<Presence> presence = found->second;
  open_.erase(found);
  close_streams(*presence);
  sessions_.close(presence->live, std::string(reason));
  on_killed_(presence->session, reason);
}

template <class Ends>
void Presences::end_where(Ends ends, const char* why) {
  for (auto it = open_.begin(); it != open_.end();) {
    if (!ends(it->first, *it->second)) {
      ++it;
      continue;
    }
    close_streams(*it->second);
    sessions_.close(it->second->live, why);
    it = open_.erase(it);
  }
}

void Presences::end_web_session(const std::string& session_id) {
  end_where([&](const Key& key, const Presence&) { return key.session == session_id; }, "logged out");
}

void Presences::end_expired(Timestamp now) {
  end_where([&](const Key&, const Presence& presence) { return presence.session.expires_at <= now; }, "the login ran out");
}

void Presences::end_shares(const std::function<bool(const Presence& presence, const std::string& share)>& good) {
  end_where([&](const Key& key, const Presence& presence) { return !key.share.empty() && !good(presence, key.share); }, "no longer shared");
}

void Presences::close_unused(std::chrono::steady_clock::time_point now, std::chrono::seconds age) {
  for (auto it = open_.begin(); it != open_.end();) {
    if (it->second->first_use || now - it->second->last_used < age) {
      ++it;
      continue;
    }
    sessions_.close(it->second->live, "browser idle");
    it = open_.erase(it);
  }
}

}  // namespace berth::web
