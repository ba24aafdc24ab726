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
    {"serving", Tone::good},     {"draining", Tone::warning}, {"failed", Tone::bad},       {"dead", Tone::bad}, {"disabled", Tone::bad},    {"stopped", Tone::dim}, {"enabled", Tone::good},
};

Cell state_cell(std::string state) {
  for (const StateTone& row : kStateTones) {
    if (row.state == state) return Cell(std::move(state), row.tone);
  }
  return Cell(std::move(state));
}

Cell user_state(const json& record) { return state_cell(is_true(record, "disabled") ? "disabled" : "enabled"); }

// What is excepted, in words: "age 365d, 40 keys, software keys".
std::string exception_words(const json& exceptions) {
  std::vector<std::string> words;
  const auto limit = [&](const char* name, const std::string& before, auto shown) {
    if (exceptions.contains(name)) words.push_back(before + (count_of(exceptions, name) == 0 ? "without limit" : shown(count_of(exceptions, name))));
  };
  limit("max_age_s", "age ", [](std::uint64_t seconds) { return format_duration(std::chrono::seconds(seconds)); });
  limit("max_per_user", "keys ", [](std::uint64_t count) { return std::to_string(count); });
  limit("min_rsa_bits", "RSA bits ", [](std::uint64_t count) { return std::to_string(count); });
  const auto types = exceptions.find("allowed_types");
  if (types != exceptions.end() && types->is_array()) {
    for (const json& type : *types) words.push_back(type.is_string() ? type.get<std::string>() : "");
  }
  if (is_true(exceptions, "allow_software")) words.emplace_back("software keys");
  if (is_true(exceptions, "allow_untouched")) words.emplace_back("without touch");
  std::string text;
  for (const std::string& word : words) text += (text.empty() ? "" : ", ") + word;
  return text;
}

// The texts of a list; empty for what is none.
std::string joined(const json& list, std::string_view separator) {
  std::string text;
  if (!list.is_array()) return text;
  for (const json& entry : list) {
    if (!text.empty()) text += separator;
    if (entry.is_string()) text += entry.get_ref<const std::string&>();
  }
  return text;
}

// What a user may forward, in words: "kinds: local, unix; permit_open: localhost:5432".
std::string forward_words(const json& rules) {
  std::string text;
  for (const auto& [name, list] : rules.items()) {
    const std::string entries = joined(list, ", ");
    text += (text.empty() ? "" : "; ") + name + ": " + (entries.empty() ? "none" : entries);
  }
  return text;
}

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
               text_of(item, "comment"), expiry_cell(item, item.is_object() && item.contains("ends_at") ? "ends_at" : "expires_at", now), age_cell(item, "last_used_at", now),
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
    std::string scopes = item.is_object() && item.contains("scopes") ? joined(item["scopes"], ",") : std::string();
    table.add({text_of(item, "id"), text_of(item, "user"), text_of(item, "name"), std::move(scopes), state_cell(text_of(item, "state")),
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
  const auto exceptions = record.is_object() ? record.find("key_exceptions") : record.end();
  if (exceptions != record.end() && exceptions->is_object()) out += render_fields({{"exceptions", exception_words(*exceptions)}}, style);
  const auto forwards = record.is_object() ? record.find("forwards") : record.end();
  if (forwards != record.end() && forwards->is_object()) out += render_fields({{"forwards", forward_words(*forwards)}}, style);
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
                        {"expires", expiry_cell(key, key.contains("ends_at") ? "ends_at" : "expires_at", now)},
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
  const auto items = record.is_object() ? record.find("items") : record.end();
  if (items == record.end() || !items->is_array() || items->empty()) return out;
  Table table({{"USER"}, {"REPLACED"}, {"KEY"}, {"STATE"}, {"ADDED"}, {"COMMENT", Align::left, kLeast}});
  for (const json& member : *items) {
    const auto member_keys = member.is_object() ? member.find("keys") : member.end();
    if (member_keys == member.end() || !member_keys->is_array()) continue;
    for (const json& key : *member_keys) {
      const Cell replaced = is_true(key, "done") ? Cell("yes", Tone::good) : Cell("no", Tone::warning);
      table.add({text_of(member, "user"), replaced, text_of(key, "fingerprint"), state_cell(text_of(key, "state")), age_cell(key, "added_at", now),
                 text_of(key, "comment")});
    }
  }
  return out + std::string(style.newline) + table.render(style);
}

std::string key_exceptions(const json& items, Timestamp now, const TextStyle& style) {
  Table table({{"USER"}, {"EXCEPTIONS", Align::left, 16}, {"UNTIL"}, {"BY"}, {"SET"}, {"REASON", Align::left, kLeast}});
  for (const json& item : items) {
    const auto exceptions = item.is_object() ? item.find("key_exceptions") : item.end();
    if (exceptions == item.end() || !exceptions->is_object()) continue;
    table.add({text_of(item, "name"), exception_words(*exceptions), expiry_cell(*exceptions, "until", now), text_of(*exceptions, "set_by"),
               age_cell(*exceptions, "set_at", now), text_of(*exceptions, "reason")});
  }
  return table.render(style);
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
  const auto instances = record.is_object() ? record.find("instances") : record.end();
  if (instances == record.end() || !instances->is_array() || instances->size() < 2) return out;
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
