// The campaign that asks users to replace old keys.
#include "auth/campaigns.hpp"
#include "web/api.hpp"
#include "web/lane_server.hpp"
#include "web/records.hpp"

namespace berth::web {
namespace asio = boost::asio;
namespace {

constexpr std::int64_t kMostSeconds = 3650LL * 86400;

std::string_view state_of(const auth::Campaign& campaign) {
  if (campaign.running()) return "running";
  return campaign.done_at != Timestamp{} ? "done" : "ended";
}

nlohmann::json report_json(const auth::CampaignReport& report) {
  nlohmann::json items = nlohmann::json::array();
  for (const auto& member : report.users) {
    nlohmann::json keys = nlohmann::json::array();
    for (const auto& item : member.keys) {
      keys.push_back({{"fingerprint", item.key.fingerprint},
                      {"comment", item.key.comment},
                      {"added_at", time_json(item.key.added_at)},
                      {"state", auth::name_of(item.verdict.state)},
                      {"done", item.done}});
    }
    items.push_back({{"user", member.user}, {"done", member.done()}, {"done_at", time_json(member.done_at())}, {"keys", std::move(keys)}});
  }
  const auth::Campaign& campaign = report.campaign;
  return {{"id", campaign.id == 0 ? nlohmann::json(nullptr) : nlohmann::json(campaign.id)},
          {"state", state_of(campaign)},
          {"started_at", time_json(campaign.started_at)},
          {"started_by", campaign.started_by},
          {"older_than_s", campaign.plan.older_than.count()},
          {"deadline_at", time_json(campaign.deadline_at)},
          {"action", auth::name_of(campaign.plan.action)},
          {"message", campaign.plan.message},
          {"ended_at", time_json(campaign.ended_at)},
          {"total", report.users.size()},
          {"done", report.done()},
          {"items", std::move(items)}};
}

Result<std::chrono::seconds> seconds_in(const ApiCall& call, std::string_view name) {
  const auto number = call.number(name);
  if (!number) return number.error();
  if (!*number) return Error{ErrorKind::invalid, "'" + std::string(name) + "' is missing"};
  if (**number < 0 || **number > kMostSeconds) return Error{ErrorKind::invalid, "'" + std::string(name) + "' is from 0 to 3650 days"};
  return std::chrono::seconds(**number);
}

Result<auth::CampaignPlan> plan_in(const ApiCall& call) {
  const auto older_than = seconds_in(call, "older_than_s"), deadline = seconds_in(call, "deadline_s");
  const auto action_name = call.text("action", "supersede"), message = call.text("message", "");
  if (!older_than) return older_than.error();
  if (!deadline) return deadline.error();
  if (!action_name) return action_name.error();
  if (!message) return message.error();
  const auto action = auth::campaign_action_named(*action_name);
  if (!action) return Error{ErrorKind::invalid, "'action' is supersede or expire"};
  return auth::CampaignPlan{*older_than, *deadline, *action, *message};
}

}  // namespace

asio::awaitable<ApiReply> get_campaign(ApiCall& call) {
  const auto report = call.lane.services().campaigns.report(*call.lane.reader);
  co_return json_response({{"campaign", report ? report_json(*report) : nlohmann::json(nullptr)}});
}

asio::awaitable<ApiReply> post_campaign(ApiCall& call) {
  auto& campaigns = call.lane.services().campaigns;
  auto plan = plan_in(call);
  if (!plan) co_return plan.error();
  const auto dry_run = call.flag("dry_run", false);
  if (!dry_run) co_return dry_run.error();
  if (*dry_run) {
    const auto preview = campaigns.preview(*call.lane.reader, std::move(*plan));
    if (!preview) co_return preview.error();
    co_return json_response(report_json(*preview));
  }
  auto started = co_await campaigns.start(call.caller.actor, std::move(*plan));
  if (!started) co_return started.error();
  co_return json_response(report_json(*started), 201);
}

asio::awaitable<ApiReply> delete_campaign(ApiCall& call) {
  auto ended = co_await call.lane.services().campaigns.end(call.caller.actor);
  if (!ended) co_return ended.error();
  co_return json_response(report_json(*ended));
}

}  // namespace berth::web
