#include "base/view_parts.hpp"

#include <chrono>
#include <nlohmann/json.hpp>
#include <vector>

#include "base/human.hpp"

namespace berth::views {
using nlohmann::json;
namespace {

const json* field_of(const json& record, const char* name) {
  const auto field = record.is_object() ? record.find(name) : record.end();
  return field == record.end() ? nullptr : &*field;
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

}  // namespace

std::string text_of(const json& record, const char* name) {
  const json* field = field_of(record, name);
  if (field == nullptr || field->is_null()) return {};
  if (field->is_string()) return field->get<std::string>();
  return field->is_primitive() ? field->dump() : std::string();
}

std::uint64_t count_of(const json& record, const char* name) {
  const json* field = field_of(record, name);
  return field != nullptr && field->is_number_unsigned() ? field->get<std::uint64_t>() : 0;
}

bool is_true(const json& record, const char* name) { return text_of(record, name) == "true"; }

Timestamp time_of(const json& record, const char* name) {
  const Result<Timestamp> time = parse_timestamp(text_of(record, name));
  return time ? *time : Timestamp{};
}

const json* object_of(const json& record, const char* name) {
  const json* field = field_of(record, name);
  return field != nullptr && field->is_object() ? field : nullptr;
}

const json* list_of(const json& record, const char* name) {
  const json* field = field_of(record, name);
  return field != nullptr && field->is_array() ? field : nullptr;
}

Cell age_cell(const json& record, const char* name, Timestamp now) {
  const Timestamp time = time_of(record, name);
  return time == Timestamp{} ? Cell("never", Tone::dim) : Cell(human_age(time, now));
}

Cell expiry_cell(const json& record, const char* name, Timestamp now) {
  const Timestamp time = time_of(record, name);
  if (time == Timestamp{}) return Cell("never", Tone::dim);
  const Tone tone = time <= now ? Tone::bad : time - now < std::chrono::days(14) ? Tone::warning : Tone::plain;
  return Cell(human_age(time, now), tone);
}

Cell key_expiry_cell(const json& key, Timestamp now) {
  return expiry_cell(key, key.is_object() && key.contains("ends_at") ? "ends_at" : "expires_at", now);
}

Cell state_cell(std::string state) {
  for (const StateTone& row : kStateTones) {
    if (row.state == state) return Cell(std::move(state), row.tone);
  }
  return Cell(std::move(state));
}

Cell user_state(const json& record) { return state_cell(is_true(record, "disabled") ? "disabled" : "enabled"); }

std::string exception_words(const json& exceptions) {
  std::vector<std::string> words;
  const auto limit = [&](const char* name, const std::string& before, auto shown) {
    if (exceptions.contains(name)) words.push_back(before + (count_of(exceptions, name) == 0 ? "without limit" : shown(count_of(exceptions, name))));
  };
  limit("max_age_s", "age ", [](std::uint64_t seconds) { return format_duration(std::chrono::seconds(seconds)); });
  limit("max_per_user", "keys ", [](std::uint64_t count) { return std::to_string(count); });
  limit("min_rsa_bits", "RSA bits ", [](std::uint64_t count) { return std::to_string(count); });
  if (const json* types = list_of(exceptions, "allowed_types")) {
    for (const json& type : *types) words.push_back(type.is_string() ? type.get<std::string>() : "");
  }
  if (is_true(exceptions, "allow_software")) words.emplace_back("software keys");
  if (is_true(exceptions, "allow_untouched")) words.emplace_back("without touch");
  std::string text;
  for (const std::string& word : words) text += (text.empty() ? "" : ", ") + word;
  return text;
}

std::string joined(const json& list, std::string_view separator) {
  std::string text;
  if (!list.is_array()) return text;
  for (const json& entry : list) {
    if (!text.empty()) text += separator;
    if (entry.is_string()) text += entry.get_ref<const std::string&>();
  }
  return text;
}

std::string forward_words(const json& rules) {
  std::string text;
  for (const auto& [name, list] : rules.items()) {
    const std::string entries = joined(list, ", ");
    text += (text.empty() ? "" : "; ") + name + ": " + (entries.empty() ? "none" : entries);
  }
  return text;
}

}  // namespace berth::views
