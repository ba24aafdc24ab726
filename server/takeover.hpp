// A new berthd's first steps beside others of the site, before it has lanes: finding them, and taking over from the one that serves. Plain blocking
// calls with deadlines. The messages: server/neighbours.hpp.
#pragma once
#include <chrono>
#include <cstdint>
#include <filesystem>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "base/handles.hpp"
#include "base/result.hpp"
#include "web/server.hpp"

namespace berth::server {

// What a berthd gives to the one that replaces it.
struct Offer {
  std::vector<FileDescriptor> sockets;  // listening ones: what each is for is known by its address
  std::string notify_socket;            // of systemd's unit, whose main process the new one becomes; empty: none
  std::int64_t watchdog_us = 0;
};

// Another berthd that runs.
struct Found {
  FileDescriptor socket;  // connected to it
  web::Instance who;
  FileDescriptor lock;    // of the store
};

std::string new_instance_id();
// run_dir/berthd-ID.sock
std::filesystem::path neighbour_socket(const std::filesystem::path& run_dir, const std::string& instance);
bool is_own_user(int socket);

// A field of a message; empty or `otherwise` where it is missing or of another kind.
std::string text_of(const nlohmann::json& message, const char* name);
std::int64_t number_of(const nlohmann::json& message, const char* name, std::int64_t otherwise = 0);
nlohmann::json to_message(std::string_view type, const web::Instance& one);
// Fields that are missing or of another kind leave what is there.
void read_message(const nlohmann::json& message, web::Instance& one);

// Connects to every berthd of this site that runs, and tells each who we are; removes the sockets of those that were killed.
Result<std::vector<Found>> find_neighbours(const std::filesystem::path& run_dir, const web::Instance& self);
// What `other` listens on; it goes on serving until take_over().
Result<Offer> ask_for_sockets(const Found& other);
// We accept from now on; `other` serves what it has for at most `limit`.
Result<void> take_over(const Found& other, std::chrono::seconds limit);

}  // namespace berth::server
