// What users should know about their keys: that one was replaced, ends soon, or is to be replaced by a campaign's deadline. Shown at SSH
// logins with a shell or terminal, and in the portal.
#pragma once
#include <string>
#include <string_view>
#include <vector>

#include "auth/campaigns.hpp"
#include "auth/directory.hpp"

namespace berth::auth {

struct Notice {
  std::string kind;  // "superseded", "expires_soon", "campaign"
  std::string text;  // one or two sentences
  std::string key_fingerprint;
  Timestamp until{};
  std::string successor;  // fingerprint of the key to switch to, or empty
  bool current = false;   // of the key that was logged in with
};

// `ssh`: how users reach this machine ("ssh -p 2222 box"), for the commands in the texts.
std::vector<Notice> notices_for(SQLite::Database& reader, const Directory& directory, const Campaigns& campaigns, std::string_view user,
                                std::string_view current_fingerprint, std::string_view ssh, Timestamp now);
// Of these, what is said at an SSH login: about the key that was used, and campaigns about any.
bool is_said_at_login(const Notice& notice);

}  // namespace berth::auth
