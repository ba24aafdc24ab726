#include "agent/request.hpp"

#include "tunnels/wire.hpp"

namespace berth::agent {
namespace wire = tunnels::wire;
using nlohmann::json;

namespace {

std::string dump(const json& message) { return message.dump(-1, ' ', false, json::error_handler_t::replace); }

json error_message(std::uint64_t op, const Error& error) {
  return {{"type", "error"}, {"op", op}, {"kind", name_of(error.kind)}, {"message", error.message}};
}

const json& field(const json& object, const char* key) {
  auto found = object.find(key);
  if (found == object.end()) throw BadRequest(std::string("'") + key + "' is missing");
  return *found;
}

}  // namespace

void Reply::event(std::string_view type, json fields, std::vector<FileDescriptor> descriptors) const {
  auto target = connection.lock();
  if (!target) return;
  fields["type"] = type;
  fields["op"] = op;
  // The kernel may refuse to carry descriptors (too many in flight); the operation must still be answered.
  std::string instead;
  if (!descriptors.empty()) instead = dump(error_message(op, {ErrorKind::unavailable, "too many descriptors on their way to Berth"}));
  target->send(dump(fields), std::move(descriptors), std::move(instead));
}

void Reply::done(json fields, std::vector<FileDescriptor> descriptors) const { event("done", std::move(fields), std::move(descriptors)); }

void Reply::error(const Error& error) const {
  if (auto target = connection.lock()) target->send(dump(error_message(op, error)));
}

std::string decode_field(const json& value, const char* key) {
  if (!value.is_string()) throw BadRequest(std::string("'") + key + "' is no string");
  auto bytes = wire::decode_bytes(value.get_ref<const std::string&>());
  if (!bytes || bytes->find('\0') != std::string::npos) throw BadRequest(std::string("'") + key + "' holds a NUL or a character over U+00FF");
  return std::move(*bytes);
}

std::uint64_t number_field(const json& object, const char* key, std::uint64_t most) {
  const json& value = field(object, key);
  if (!value.is_number_unsigned() || value.get<std::uint64_t>() > most)
    throw BadRequest(std::string("'") + key + "' is no whole number up to " + std::to_string(most));
  return value.get<std::uint64_t>();
}

std::vector<std::string> decode_list(const json& value, const char* key) {
  if (!value.is_array()) throw BadRequest(std::string("'") + key + "' is no list");
  std::vector<std::string> list;
  for (const auto& item : value) list.push_back(decode_field(item, key));
  return list;
}

std::vector<std::pair<std::string, std::string>> decode_environment(const json& value) {
  if (!value.is_object()) throw BadRequest("'env' is no object");
  std::vector<std::pair<std::string, std::string>> pairs;
  for (const auto& [encoded, text] : value.items()) {
    auto name = wire::decode_bytes(encoded);
    if (!name || name->empty() || name->find('=') != std::string::npos || name->find('\0') != std::string::npos)
      throw BadRequest("'env' holds a name that no environment can have");
    pairs.emplace_back(std::move(*name), decode_field(text, "env"));
  }
  return pairs;
}

std::string Request::text(const char* key) const {
  const json& value = field(fields, key);
  if (!value.is_string()) throw BadRequest(std::string("'") + key + "' is no string");
  return value.get<std::string>();
}

std::string Request::bytes(const char* key) const { return decode_field(field(fields, key), key); }

std::uint64_t Request::number(const char* key, std::uint64_t most) const { return number_field(fields, key, most); }

}  // namespace berth::agent
