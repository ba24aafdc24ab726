// berth key rotate, impact, remove, campaign.
#include <algorithm>

#include "base/human.hpp"
#include "base/views.hpp"
#include "cli/interact.hpp"
#include "cli/key_file.hpp"

namespace berth::cli {
namespace {

using nlohmann::json;

std::string key_path(const std::string& fingerprint) { return "/keys/" + percent_encode(fingerprint); }

Outcome<> take_seconds(const Invocation& given, std::string_view option, const char* field, json& body) {
  if (!given.has(option)) return {};
  const Result<std::chrono::seconds> span = parse_duration(given[option]);
  if (!span) return usage_failure(std::string(option) + ": " + span.error().message);
  body[field] = span->count();
  return {};
}

Outcome<> revoke(const Invocation& given, const Context& context, bool may_be_silent) {
  const std::string fingerprint = given["FINGERPRINT"];
  const bool asks = !given.has("--yes") && (context.streams.in_is_terminal || !may_be_silent);
  if (asks) {
    std::string preview;
    if (context.streams.in_is_terminal) {
      const Outcome<json> impact = context.api.get(key_path(fingerprint) + "/impact");
      if (!impact) return impact.error();
      preview = views::key_impact(*impact, context.clock.now(), context.streams.style);
    }
    if (const Outcome<> confirmed = confirm(given, context, preview, "Revoke this key?"); !confirmed) return confirmed;
  }
  const Outcome<json> revoked = context.api.remove(key_path(fingerprint));
  if (!revoked) return revoked.error();
  const json ended = revoked->is_object() ? revoked->value("ended_sessions", json(0)) : json(0);
  print_answer(context, *revoked, "revoked " + printable(fingerprint) + "; sessions ended: " + ended.dump() + "\n");
  return {};
}

Outcome<> campaign_start(const Invocation& given, const Context& context) {
  if (!given.has("--older-than") || !given.has("--deadline")) return usage_failure("a campaign needs --older-than 90d (which keys) and --deadline 30d (from now)");
  json body = json::object();
  if (const Outcome<> age = take_seconds(given, "--older-than", "older_than_s", body); !age) return age;
  if (const Outcome<> deadline = take_seconds(given, "--deadline", "deadline_s", body); !deadline) return deadline;
  if (given.has("--action")) body["action"] = given["--action"];
  if (given.has("--message")) body["message"] = given["--message"];
  if (given.has("--dry-run")) body["dry_run"] = true;
  const Outcome<json> campaign = context.api.post("/campaign", body);
  if (!campaign) return campaign.error();
  const std::string said = given.has("--dry-run") ? "Nothing was started. It would be:\n" : "";
  print_answer(context, *campaign, said + views::campaign(*campaign, context.clock.now(), context.streams.style));
  return {};
}

Outcome<> campaign_status(const Invocation&, const Context& context) {
  const Outcome<json> answer = context.api.get("/campaign");
  if (!answer) return answer.error();
  const json campaign = answer->is_object() ? answer->value("campaign", json()) : json();
  const std::string text = campaign.is_object() ? views::campaign(campaign, context.clock.now(), context.streams.style) : "";
  print_answer(context, *answer, text, "there has been no campaign");
  return {};
}

Outcome<> campaign_end(const Invocation&, const Context& context) {
  const Outcome<json> campaign = context.api.remove("/campaign");
  if (!campaign) return campaign.error();
  print_answer(context, *campaign, views::campaign(*campaign, context.clock.now(), context.streams.style));
  return {};
}

struct CampaignStep {
  std::string_view name;
  Run run;
};
constexpr CampaignStep kCampaignSteps[] = {{"start", campaign_start}, {"status", campaign_status}, {"end", campaign_end}};

}  // namespace

Outcome<> key_revoke(const Invocation& given, const Context& context) { return revoke(given, context, false); }
// Over SSH, with a key of one's own, which the API guards against a mistake: it needs no --yes.
Outcome<> key_remove(const Invocation& given, const Context& context) { return revoke(given, context, context.self != nullptr); }

Outcome<> key_impact(const Invocation& given, const Context& context) {
  const Outcome<json> impact = context.api.get(key_path(given["FINGERPRINT"]) + "/impact");
  if (!impact) return impact.error();
  print_answer(context, *impact, views::key_impact(*impact, context.clock.now(), context.streams.style));
  return {};
}

Outcome<> key_rotate(const Invocation& given, const Context& context) {
  json body = json::object();
  if (const Outcome<> grace = take_seconds(given, "--grace", "grace_s", body); !grace) return grace;
  if (given.has("--replaces")) body["replaces"] = given["--replaces"];
  if (given.has("--retire-on-first-use")) body["retire_on_first_use"] = true;
  if (const Outcome<> end = take_end(given, context, "--expires", "expires_at", body); !end) return end;
  const Outcome<std::vector<KeyLine>> lines = read_key_lines(given["FILE"], context);
  if (!lines) return lines.error();
  if (lines->size() != 1) return usage_failure("a rotation takes one new key; there are " + std::to_string(lines->size()));
  body["public_key"] = lines->front().text;
  const Outcome<json> rotated = context.api.post("/users/" + percent_encode(user_of(given, context)) + "/keys/rotate", body);
  if (!rotated) return rotated.error();
  json all = rotated->value("superseded", json::array());
  all.push_back(rotated->value("key", json()));
  print_answer(context, *rotated, views::keys(all, context.clock.now(), context.streams.style));
  return {};
}

Outcome<> key_campaign(const Invocation& given, const Context& context) {
  const std::string what = given["WHAT"];
  const auto step = std::find_if(std::begin(kCampaignSteps), std::end(kCampaignSteps), [&](const CampaignStep& row) { return row.name == what; });
  if (step == std::end(kCampaignSteps)) return usage_failure("a campaign is started, looked at or ended: start, status or end; not '" + what + "'");
  return step->run(given, context);
}

}  // namespace berth::cli
