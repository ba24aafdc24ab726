#include "base/views.hpp"

#include <nlohmann/json.hpp>

#include "base/human.hpp"

namespace berth::views {
namespace {

using nlohmann::json;

std::string text_of(const json& record, const char* name) {
  const auto field = record.is_object() ? record.find(name) : record.end();
  if (field == record.end() || field->is_null()) return {};
  if (field->is_string()) return field->get<std::string>();
  return field->is_primitive() ? field->dump() : std::string();
}

std::uint64_t count_of(const json& record, const char* name) {
  const auto field = record.is_object() ? record.find(name) : record.end();
  return field != record.end() && field->is_number_unsigned() ? field->get<std::uint64_t>() : 0;
}

bool is_true(const json& record, const char* name) { return text_of(record, name) == "true"; }

Timestamp time_of(const json& record, const char* name) {
  const Result<Timestamp> time = parse_timestamp(text_of(record, name));
  return time ? *time : Timestamp{};
}

Cell age_cell(const json& record, const char* name, Timestamp now) {
  const Timestamp time = time_of(record, name);
  return time == Timestamp{} ? Cell("never", Tone::dim) : Cell(human_age(time, now));
}

// When something ends; soon and past ones stand out.
Cell expiry_cell(const json& record, const char* name, Timestamp now) {
  const Timestamp time = time_of(record, name);
  if (time == Timestamp{}) return Cell("never", Tone::dim);
  const Tone tone = time <= now ? Tone::bad : time - now < std::chrono::days(14) ? Tone::warning : Tone::plain;
  return Cell(human_age(time, now), tone);
}

struct StateTone {
  std::string_view state;
  Tone tone;
};
constexpr StateTone kStateTones[] = {
    {"active", Tone::good},      {"running", Tone::good},    {"ok", Tone::good},     {"superseded", Tone::warning},
    {"starting", Tone::warning}, {"stopping", Tone::warning}, {"expired", Tone::bad}, {"revoked", Tone::bad},
    {"failed", Tone::bad},       {"disabled", Tone::bad},    {"stopped", Tone::dim}, {"enabled", Tone::good},
};

Cell state_cell(std::string state) {
  for (const StateTone& row : kStateTones) {
    if (row.state == state) return Cell(std::move(state), row.tone);
  }
  return Cell(std::move(state));
}

Cell user_state(const json& record) { return state_cell(is_true(record, "disabled") ? "disabled" : "enabled"); }

constexpr std::size_t kLeast = 8;  // what a long column keeps on a narrow terminal

}  // namespace

std::string workspace_name(const json& record) {
  const std::string user = text_of(record, "user");
  std::string name = text_of(record, record.is_object() && record.contains("workspace") ? "workspace" : "name");
  return name.empty() || name == "main" ? user : user + "+" + name;
}

std::string users(const json& items, Timestamp now, const TextStyle& style) {
  Table table({{"NAME"}, {"ROLE"}, {"STATE"}, {"KEYS", Align::right}, {"CREATED"}});
  for (const json& item : items) {
    table.add({text_of(item, "name"), text_of(item, "role"), user_state(item), text_of(item, "keys"), age_cell(item, "created_at", now)});
  }
  return table.render(style);
}

std::string keys(const json& items, Timestamp now, const TextStyle& style) {
  Table table({{"FINGERPRINT"}, {"USER"}, {"STATE"}, {"TYPE", Align::left, kLeast}, {"COMMENT", Align::left, kLeast}, {"EXPIRES"},
               {"LAST USED"}, {"FROM", Align::left, kLeast}});
  for (const json& item : items) {
    table.add({text_of(item, "fingerprint"), text_of(item, "user"), state_cell(text_of(item, "state")), text_of(item, "type"),
               text_of(item, "comment"), expiry_cell(item, "expires_at", now), age_cell(item, "last_used_at", now),
               text_of(item, "last_used_from")});
  }
  return table.render(style);
}

std::string workspaces(const json& items, Timestamp now, const TextStyle& style) {
  Table table({{"WORKSPACE"}, {"STATE"}, {"STARTED"}, {"IMAGE", Align::left, 16}, {"DETAIL", Align::left, kLeast}});
  for (const json& item : items) {
    const Timestamp started = time_of(item, "started_at");
    table.add({workspace_name(item), state_cell(text_of(item, "state")), started == Timestamp{} ? Cell("-", Tone::dim) : Cell(human_age(started, now)),
               text_of(item, "image"), text_of(item, "detail")});
  }
  return table.render(style);
}

std::string sessions(const json& items, Timestamp now, const TextStyle& style, bool history) {
  std::vector<Column> columns = {{"ID"}, {"WORKSPACE"}, {"KIND"}, {"FROM", Align::left, kLeast}, {"OPENED"}, {"IN", Align::right},
                                 {"OUT", Align::right}};
  if (history) columns.insert(columns.end(), {{"CLOSED"}, {"OUTCOME", Align::left, kLeast}});
  columns.push_back({"DETAIL", Align::left, kLeast});
  Table table(std::move(columns));
  for (const json& item : items) {
    std::vector<Cell> row = {text_of(item, "id"), workspace_name(item), text_of(item, "kind"), text_of(item, "client_address"),
                             age_cell(item, "opened_at", now), human_bytes(count_of(item, "bytes_in")), human_bytes(count_of(item, "bytes_out"))};
    if (history) {
      const Timestamp closed = time_of(item, "closed_at");
      row.push_back(closed == Timestamp{} ? Cell("live", Tone::good) : Cell(human_age(closed, now)));
      row.emplace_back(text_of(item, "outcome"));
    }
    row.emplace_back(text_of(item, "detail"));
    table.add(std::move(row));
  }
  return table.render(style);
}

std::string web_sessions(const json& items, Timestamp now, const TextStyle& style) {
  Table table({{"ID"}, {"USER"}, {"FROM"}, {"OPENED"}, {"LAST SEEN"}, {"EXPIRES"}, {"BROWSER", Align::left, kLeast}});
  for (const json& item : items) {
    table.add({text_of(item, "id"), text_of(item, "user"), text_of(item, "address"), age_cell(item, "created_at", now),
               age_cell(item, "last_seen_at", now), human_age(time_of(item, "expires_at"), now), text_of(item, "user_agent")});
  }
  return table.render(style);
}

std::string audit(const json& items, const TextStyle& style) {
  Table table({{"NO", Align::right}, {"AT (UTC)"}, {"ACTOR"}, {"FROM", Align::left, kLeast}, {"ACTION"}, {"OBJECT", Align::left, 16},
               {"OUTCOME", Align::left, kLeast}});
  for (const json& item : items) {
    std::string outcome = text_of(item, "outcome");
    const Tone tone = outcome == "ok" ? Tone::plain : Tone::warning;
    table.add({text_of(item, "number"), human_time(time_of(item, "at")), text_of(item, "actor"), text_of(item, "source"),
               text_of(item, "action"), text_of(item, "object"), Cell(std::move(outcome), tone)});
  }
  return table.render(style);
}

std::string user(const json& record, Timestamp now, const TextStyle& style) {
  std::string out = render_fields({{"name", text_of(record, "name")},
                                   {"role", text_of(record, "role")},
                                   {"state", user_state(record)},
                                   {"created", human_time(time_of(record, "created_at")) + " UTC"},
                                   {"keys", text_of(record, "keys")}},
                                  style);
  const auto list = record.is_object() ? record.find("key_list") : record.end();
  if (list != record.end() && list->is_array() && !list->empty()) {
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
                        {"expires", expiry_cell(key, "expires_at", now)},
                        {"from", text_of(record, "address")}},
                       style);
}

std::string status(const json& record, const TextStyle& style) {
  return render_fields({{"version", text_of(record, "version")},
                        {"up", human_span(std::chrono::seconds(count_of(record, "uptime_s")))},
                        {"ssh", text_of(record, "ssh_address")},
                        {"web", text_of(record, "web_address")},
                        {"lanes", text_of(record, "lanes")},
                        {"users", text_of(record, "users")},
                        {"keys", text_of(record, "keys")},
                        {"live sessions", text_of(record, "live_sessions")},
                        {"workspaces running", text_of(record, "workspaces_running")}},
                       style);
}

}  // namespace berth::views
