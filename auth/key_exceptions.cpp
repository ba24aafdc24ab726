#include "auth/key_exceptions.hpp"

#include <nlohmann/json.hpp>
#include <algorithm>

#include "auth/directory.hpp"
#include "auth/rows.hpp"

namespace berth::auth {
namespace {
using nlohmann::json;

constexpr std::int64_t kMostSeconds = 36500LL * 86400, kMostKeys = 100'000, kMostBits = 16384;
constexpr std::size_t kMostTypes = 16, kMostText = 256;

Error bad(std::string_view field, std::string_view what) { return {ErrorKind::invalid, "'" + std::string(field) + "' " + std::string(what)}; }

Result<std::int64_t> number_in(std::string_view field, const json& value, std::int64_t least, std::int64_t most) {
  if (!value.is_number_integer()) return bad(field, "is not a whole number");
  const auto number = value.get<std::int64_t>();
  if (number < least || number > most) return bad(field, "must be from " + std::to_string(least) + " to " + std::to_string(most));
  return number;
}

Result<std::string> text_of(std::string_view field, const json& value) {
  if (!value.is_string()) return bad(field, "is not a string");
  return stored_text(value.get<std::string>(), kMostText);
}

using Take = Result<void> (*)(KeyExceptions& into, std::string_view field, const json& value);

Result<void> take_max_age(KeyExceptions& into, std::string_view field, const json& value) {
  const auto number = number_in(field, value, 0, kMostSeconds);
  if (!number) return number.error();
  into.max_age = std::chrono::seconds(*number);
  return {};
}
Result<void> take_max_keys(KeyExceptions& into, std::string_view field, const json& value) {
  const auto number = number_in(field, value, 0, kMostKeys);
  if (!number) return number.error();
  into.max_per_user = *number;
  return {};
}
Result<void> take_rsa_bits(KeyExceptions& into, std::string_view field, const json& value) {
  const auto number = number_in(field, value, 1024, kMostBits);
  if (!number) return number.error();
  into.min_rsa_bits = *number;
  return {};
}
Result<void> take_types(KeyExceptions& into, std::string_view field, const json& value) {
  if (!value.is_array() || value.size() > kMostTypes) return bad(field, "is not a list of types of keys");
  for (const json& entry : value) {
    const auto type = text_of(field, entry);
    if (!type) return type.error();
    if (!is_key_type(*type)) return bad(field, "names no type of key that Berth knows: " + *type);
    into.allowed_types.push_back(*type);
  }
  return {};
}
template <bool KeyExceptions::*Flag>
Result<void> take_flag(KeyExceptions& into, std::string_view field, const json& value) {
  if (!value.is_boolean()) return bad(field, "is not true or false");
  into.*Flag = value.get<bool>();
  return {};
}
template <Timestamp KeyExceptions::*Time>
Result<void> take_time(KeyExceptions& into, std::string_view field, const json& value) {
  const auto text = text_of(field, value);
  if (!text) return text.error();
  const auto time = parse_timestamp(*text);
  if (!time) return time.error();
  into.*Time = *time;
  return {};
}
template <std::string KeyExceptions::*Text>
Result<void> take_text(KeyExceptions& into, std::string_view field, const json& value) {
  auto text = text_of(field, value);
  if (!text) return text.error();
  into.*Text = std::move(*text);
  return {};
}

struct Field {
  std::string_view name;
  Take take;
};
constexpr Field kFields[] = {
    {"max_age_s", take_max_age},
    {"max_per_user", take_max_keys},
    {"min_rsa_bits", take_rsa_bits},
    {"allowed_types", take_types},
    {"allow_software", take_flag<&KeyExceptions::allow_software>},
    {"allow_untouched", take_flag<&KeyExceptions::allow_untouched>},
    {"until", take_time<&KeyExceptions::until>},
    {"reason", take_text<&KeyExceptions::reason>},
    {"set_by", take_text<&KeyExceptions::set_by>},
    {"set_at", take_time<&KeyExceptions::set_at>},
};

bool excepts_something(const KeyExceptions& e) {
  return e.max_age || e.max_per_user || e.min_rsa_bits || !e.allowed_types.empty() || e.allow_software || e.allow_untouched;
}

}  // namespace

json to_json(const KeyExceptions& e) {
  json out = json::object();
  if (e.max_age) out["max_age_s"] = e.max_age->count();
  if (e.max_per_user) out["max_per_user"] = *e.max_per_user;
  if (e.min_rsa_bits) out["min_rsa_bits"] = *e.min_rsa_bits;
  if (!e.allowed_types.empty()) out["allowed_types"] = e.allowed_types;
  if (e.allow_software) out["allow_software"] = true;
  if (e.allow_untouched) out["allow_untouched"] = true;
  if (e.until != Timestamp{}) out["until"] = format_timestamp(e.until);
  if (!e.reason.empty()) out["reason"] = e.reason;
  if (!e.set_by.empty()) out["set_by"] = e.set_by;
  if (e.set_at != Timestamp{}) out["set_at"] = format_timestamp(e.set_at);
  return out;
}

Result<KeyExceptions> exceptions_in(const json& document) {
  if (!document.is_object()) return Error{ErrorKind::invalid, "exceptions are an object or null"};
  KeyExceptions exceptions;
  for (const auto& [name, value] : document.items()) {
    const auto field = std::find_if(std::begin(kFields), std::end(kFields), [&name = name](const Field& row) { return row.name == name; });
    if (field == std::end(kFields)) return bad(stored_text(name, 64), "is no exception that can be made");
    if (value.is_null()) continue;
    const auto taken = field->take(exceptions, name, value);
    if (!taken) return taken.error();
  }
  if (!excepts_something(exceptions)) return Error{ErrorKind::invalid, "say what is excepted: the age, number, size or type of keys, hardware or touch"};
  return exceptions;
}

std::string stored_form(const KeyExceptions& exceptions) { return exceptions.set_at == Timestamp{} ? "" : to_json(exceptions).dump(); }

KeyExceptions stored_exceptions(std::string_view text) {
  if (text.empty()) return {};
  const json document = json::parse(text, nullptr, false);
  const auto exceptions = exceptions_in(document);
  return exceptions ? *exceptions : KeyExceptions{};
}

}  // namespace berth::auth
