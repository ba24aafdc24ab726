#include "auth/key_notices.hpp"

#include <algorithm>
#include <unordered_set>

#include "base/human.hpp"

namespace berth::auth {
namespace {

constexpr int kMostHops = 16;  // rotations that a notice follows to the key of today

std::string named(const Key& key) { return key.fingerprint + (key.comment.empty() ? "" : " (" + printable(key.comment) + ")"); }
std::string until_words(Timestamp until, Timestamp now) { return human_time(until) + " UTC (" + human_age(until, now) + ")"; }

// The key that has taken the place of `key`, if one that works has.
std::optional<Key> successor_of(const Key& key, const std::vector<Key>& keys, const Directory& directory) {
  const Key* current = &key;
  for (int hop = 0; hop < kMostHops && current->successor_id != 0; ++hop) {
    const auto next = std::find_if(keys.begin(), keys.end(), [&](const Key& other) { return other.id == current->successor_id; });
    if (next == keys.end()) return std::nullopt;
    current = &*next;
    if (counts_as_lasting(directory.judge(*current))) return *current;
  }
  return std::nullopt;
}

Notice superseded_notice(const Key& key, const KeyVerdict& verdict, const std::optional<Key>& successor, std::string_view rotate, Timestamp now) {
  Notice notice{"superseded", {}, key.fingerprint, verdict.ends_at, successor ? successor->fingerprint : "", false};
  notice.text = "The key " + named(key) + " was replaced";
  if (successor) notice.text += " by " + named(*successor);
  notice.text += ". It works until " + until_words(verdict.ends_at, now) + (key.retire_on_first_use ? ", or until the new one is used" : "") + ". ";
  notice.text += successor ? "Log in with the new one from now on." : "Replace it: " + std::string(rotate);
  return notice;
}

Notice expiry_notice(const Key& key, const KeyVerdict& verdict, std::string_view rotate, Timestamp now) {
  return {"expires_soon", "The key " + named(key) + " stops working at " + until_words(verdict.ends_at, now) + ". Replace it: " + std::string(rotate), key.fingerprint,
          verdict.ends_at, "", false};
}

Notice campaign_notice(const Key& key, const Campaign& campaign, std::string_view rotate, Timestamp now) {
  const bool expires = campaign.plan.action == CampaignAction::expire;
  Notice notice{"campaign", {}, key.fingerprint, campaign.deadline_at, "", false};
  notice.text = "The key " + named(key) + " must be replaced before " + until_words(campaign.deadline_at, now) + (expires ? ", when it stops working. " : ". ");
  if (!campaign.plan.message.empty()) notice.text += printable(campaign.plan.message) + " ";
  notice.text += "Replace it: " + std::string(rotate);
  return notice;
}

}  // namespace

std::vector<Notice> notices_for(SQLite::Database& reader, const Directory& directory, const Campaigns& campaigns, std::string_view user,
                                std::string_view current_fingerprint, std::string_view ssh, Timestamp now) {
  const std::vector<Key> keys = directory.list_keys(reader, user);
  const auto asked = campaigns.asked_of(reader, user);
  std::vector<Notice> notices;
  std::unordered_set<std::string> in_campaign;
  const std::string rotate = std::string(ssh) + " berth key rotate < NEW_KEY.pub";
  if (asked) {
    for (const Key& key : asked->keys) {
      notices.push_back(campaign_notice(key, asked->campaign, rotate, now));
      in_campaign.insert(key.fingerprint);
    }
  }
  for (const Key& key : keys) {
    const KeyVerdict verdict = directory.judge(key);
    if (verdict.notice == KeyNotice::superseded) {
      notices.push_back(superseded_notice(key, verdict, successor_of(key, keys, directory), rotate, now));
    } else if (verdict.notice == KeyNotice::expires_soon && !in_campaign.contains(key.fingerprint)) {
      notices.push_back(expiry_notice(key, verdict, rotate, now));
    }
  }
  for (Notice& notice : notices) notice.current = notice.key_fingerprint == current_fingerprint;
  return notices;
}

bool is_said_at_login(const Notice& notice) { return notice.current || notice.kind == "campaign"; }

}  // namespace berth::auth
