#include "base/views.hpp"

#include <nlohmann/json.hpp>

#include "base/human.hpp"
#include "base/view_parts.hpp"

namespace berth::views {
using nlohmann::json;

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
               text_of(item, "comment"), key_expiry_cell(item, now), age_cell(item, "last_used_at", now),
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
    const std::string detail = text_of(item, "detail"), certificate = text_of(item, "certificate");
    row.emplace_back(certificate.empty() ? detail : detail + (detail.empty() ? "" : ", ") + "certificate " + certificate);
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

std::string shares(const json& items, Timestamp now, const TextStyle& style) {
  Table table({{"ID"}, {"WORKSPACE"}, {"PORT", Align::right}, {"WITH"}, {"EXPIRES"}, {"URL", Align::left, kLeast}});
  for (const json& item : items) {
    const std::string with = text_of(item, "with");
    table.add({text_of(item, "id"), text_of(item, "owner") + "+" + text_of(item, "workspace"), text_of(item, "port"), with.empty() ? "everybody" : with,
               expiry_cell(item, "expires_at", now), text_of(item, "url")});
  }
  return table.render(style);
}

std::string tokens(const json& items, Timestamp now, const TextStyle& style) {
  Table table({{"ID"}, {"USER"}, {"NAME", Align::left, kLeast}, {"SCOPES", Align::left, kLeast}, {"STATE"}, {"EXPIRES"}, {"LAST USED"}, {"FROM", Align::left, kLeast}});
  for (const json& item : items) {
    const json* scopes = list_of(item, "scopes");
    table.add({text_of(item, "id"), text_of(item, "user"), text_of(item, "name"), scopes != nullptr ? joined(*scopes, ",") : std::string(), state_cell(text_of(item, "state")),
               expiry_cell(item, "expires_at", now), age_cell(item, "last_used_at", now), text_of(item, "last_used_from")});
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

std::string audit_line(const json& row, const TextStyle& style) {
  const std::string outcome = text_of(row, "outcome");
  std::string line = text_of(row, "number") + "  " + human_time(time_of(row, "at")) + "  " + text_of(row, "actor") + "  " + text_of(row, "source") + "  " +
                     text_of(row, "action") + "  " + text_of(row, "object") + "  ";
  return printable(line) + toned(printable(outcome), outcome == "ok" ? Tone::plain : Tone::warning, style) + std::string(style.newline);
}

std::string key_exceptions(const json& items, Timestamp now, const TextStyle& style) {
  Table table({{"USER"}, {"EXCEPTIONS", Align::left, 16}, {"UNTIL"}, {"BY"}, {"SET"}, {"REASON", Align::left, kLeast}});
  for (const json& item : items) {
    const json* exceptions = object_of(item, "key_exceptions");
    if (exceptions == nullptr) continue;
    table.add({text_of(item, "name"), exception_words(*exceptions), expiry_cell(*exceptions, "until", now), text_of(*exceptions, "set_by"),
               age_cell(*exceptions, "set_at", now), text_of(*exceptions, "reason")});
  }
  return table.render(style);
}

}  // namespace berth::views
