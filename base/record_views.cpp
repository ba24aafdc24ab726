// The views of one record with its fields; the lists are in views.cpp.
#include <algorithm>
#include <chrono>
#include <nlohmann/json.hpp>

#include "base/human.hpp"
#include "base/view_parts.hpp"
#include "base/views.hpp"

namespace berth::views {
using nlohmann::json;

std::string audit_row(const json& row, const TextStyle& style) {
  return render_fields({{"number", text_of(row, "number")},
                        {"at", text_of(row, "at")},
                        {"actor", text_of(row, "actor")},
                        {"from", text_of(row, "source")},
                        {"key", text_of(row, "key_fingerprint")},
                        {"action", text_of(row, "action")},
                        {"object", text_of(row, "object")},
                        {"outcome", text_of(row, "outcome")},
                        {"hash", text_of(row, "hash")}},
                       style);
}

std::string user(const json& record, Timestamp now, const TextStyle& style) {
  std::string out = render_fields({{"name", text_of(record, "name")},
                                   {"role", text_of(record, "role")},
                                   {"state", user_state(record)},
                                   {"created", human_time(time_of(record, "created_at")) + " UTC"},
                                   {"keys", text_of(record, "keys")}},
                                  style);
  if (const json* exceptions = object_of(record, "key_exceptions")) out += render_fields({{"exceptions", exception_words(*exceptions)}}, style);
  if (const json* forwards = object_of(record, "forwards")) out += render_fields({{"forwards", forward_words(*forwards)}}, style);
  if (const json* list = list_of(record, "key_list"); list != nullptr && !list->empty()) {
    out += style.newline;
    out += keys(*list, now, style);
  }
  return out;
}

std::string whoami(const json& record, Timestamp now, const TextStyle& style) {
  const json user = record.is_object() ? record.value("user", json()) : json();
  const json key = record.is_object() ? record.value("key", json()) : json();
  return render_fields({{"user", text_of(user, "name")},
                        {"role", text_of(user, "role")},
                        {"workspace", text_of(record, "workspace")},
                        {"key", text_of(key, "fingerprint")},
                        {"comment", text_of(key, "comment")},
                        {"expires", key_expiry_cell(key, now)},
                        {"from", text_of(record, "address")}},
                       style);
}

std::string key_impact(const json& record, Timestamp now, const TextStyle& style) {
  const json none = json::array();
  const auto part = [&](const char* name) -> const json& {
    const auto found = record.is_object() ? record.find(name) : record.end();
    return found != record.end() && (found->is_array() || found->is_object()) ? *found : none;
  };
  std::string out = keys(json::array({part("key")}), now, style);
  out += style.newline;
  const json &open = part("sessions"), &browsers = part("web_sessions"), &addresses = part("addresses"), &others = part("other_keys");
  out += open.empty() ? std::string("Nothing is open with this key now.") + std::string(style.newline)
                      : "These end with it:" + std::string(style.newline) + sessions(open, now, style, false);
  if (!browsers.empty()) out += "Browsers that are logged in by it:" + std::string(style.newline) + web_sessions(browsers, now, style);
  out += "Logins in the last 30 days: " + text_of(record, "uses_30d") + std::string(style.newline);
  Table sources({{"  FROM"}, {"LOGINS", Align::right}, {"LAST"}});
  for (const json& source : addresses) sources.add({"  " + text_of(source, "address"), text_of(source, "uses"), age_cell(source, "last_at", now)});
  out += sources.render(style);
  if (others.empty()) return out + toned("Its user has no other key that works: without it they cannot log in.", Tone::bad, style) + std::string(style.newline);
  return out + "Its user keeps:" + std::string(style.newline) + keys(others, now, style);
}

std::string campaign(const json& record, Timestamp now, const TextStyle& style) {
  constexpr std::uint64_t kBar = 40;
  const std::uint64_t total = count_of(record, "total"), done = std::min(count_of(record, "done"), total);
  const std::uint64_t filled = total == 0 ? kBar : done * kBar / total;
  std::string bar;
  for (std::uint64_t i = 0; i < kBar; ++i) bar += i < filled ? "█" : "░";
  const Timestamp deadline = time_of(record, "deadline_at");
  std::string out = render_fields({{"campaign", state_cell(text_of(record, "state"))},
                                   {"asks for", "keys older than " + human_span(std::chrono::seconds(count_of(record, "older_than_s")))},
                                   {"deadline", human_time(deadline) + " UTC (" + human_age(deadline, now) + "), then they " + text_of(record, "action")},
                                   {"message", text_of(record, "message")},
                                   {"replaced", bar + " " + std::to_string(done) + " of " + std::to_string(total) + " users"}},
                                  style);
  const json* items = list_of(record, "items");
  if (items == nullptr || items->empty()) return out;
  Table table({{"USER"}, {"REPLACED"}, {"KEY"}, {"STATE"}, {"ADDED"}, {"COMMENT", Align::left, kLeast}});
  for (const json& member : *items) {
    const json* member_keys = list_of(member, "keys");
    if (member_keys == nullptr) continue;
    for (const json& key : *member_keys) {
      const Cell replaced = is_true(key, "done") ? Cell("yes", Tone::good) : Cell("no", Tone::warning);
      table.add({text_of(member, "user"), replaced, text_of(key, "fingerprint"), state_cell(text_of(key, "state")), age_cell(key, "added_at", now),
                 text_of(key, "comment")});
    }
  }
  return out + std::string(style.newline) + table.render(style);
}

std::string status(const json& record, const TextStyle& style) {
  std::string out = render_fields({{"version", text_of(record, "version")},
                        {"up", human_span(std::chrono::seconds(count_of(record, "uptime_s")))},
                        {"ssh", text_of(record, "ssh_address")},
                        {"web", text_of(record, "web_address")},
                        {"lanes", text_of(record, "lanes")},
                        {"users", text_of(record, "users")},
                        {"keys", text_of(record, "keys")},
                        {"live sessions", text_of(record, "live_sessions")},
                        {"workspaces running", text_of(record, "workspaces_running")}},
                       style);
  const json* instances = list_of(record, "instances");
  if (instances == nullptr || instances->size() < 2) return out;
  const auto when = [](const json& item, const char* name) {
    const Timestamp time = time_of(item, name);
    return time == Timestamp{} ? std::string() : human_time(time) + " UTC";
  };
  Table table({{"BERTHD"}, {"VERSION"}, {"STATE"}, {"CONNECTIONS", Align::right}, {"SINCE"}, {"ENDS BY"}});
  for (const json& item : *instances) {
    table.add({"process " + text_of(item, "pid"), text_of(item, "version"), state_cell(text_of(item, "state")), text_of(item, "connections"), when(item, "started_at"),
               when(item, "ends_by")});
  }
  return out + std::string(style.newline) + table.render(style);
}

}  // namespace berth::views
