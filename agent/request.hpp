// What a request holds and how it is answered. Field getters throw BadRequest, which the dispatcher turns into an answer.
#pragma once
#include <cstdint>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "agent/connection.hpp"
#include "base/handles.hpp"
#include "base/result.hpp"

namespace berth::agent {

struct BadRequest : std::runtime_error {
  using std::runtime_error::runtime_error;
};

// Where the answers to one operation go; nowhere once its connection is gone.
struct Reply {
  std::weak_ptr<Connection> connection;
  std::uint64_t op = 0;

  void done(nlohmann::json fields = nlohmann::json::object(), std::vector<FileDescriptor> descriptors = {}) const;
  void error(const Error& error) const;
  void event(std::string_view type, nlohmann::json fields = nlohmann::json::object(), std::vector<FileDescriptor> descriptors = {}) const;
};

struct Request {
  const nlohmann::json& fields;
  Reply reply;
  std::uint64_t connection_id = 0;
  std::vector<FileDescriptor>& descriptors;  // what came with it; closed after it unless taken

  bool has(const char* key) const { return fields.contains(key); }
  std::string text(const char* key) const;                           // must be there
  std::string bytes(const char* key) const;                          // the same, decoded by wire::decode_bytes, no NUL
  std::uint64_t number(const char* key, std::uint64_t most) const;   // must be there
};

// For objects inside a request.
std::string decode_field(const nlohmann::json& value, const char* key);
std::uint64_t number_field(const nlohmann::json& object, const char* key, std::uint64_t most);
std::vector<std::string> decode_list(const nlohmann::json& value, const char* key);
// {"NAME": "value"} as "NAME=value" pairs.
std::vector<std::pair<std::string, std::string>> decode_environment(const nlohmann::json& value);

}  // namespace berth::agent
