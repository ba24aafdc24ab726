// What views (base/views.hpp) are made of: the fields of a record as text and as cells. A field that is missing or of another type is empty, 0 or false.
#pragma once
#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>

#include "base/clock.hpp"
#include "base/table.hpp"

namespace berth::views {

inline constexpr std::size_t kLeast = 8;  // what a long column keeps on a narrow terminal

std::string text_of(const nlohmann::json& record, const char* name);
std::uint64_t count_of(const nlohmann::json& record, const char* name);
bool is_true(const nlohmann::json& record, const char* name);
Timestamp time_of(const nlohmann::json& record, const char* name);
const nlohmann::json* object_of(const nlohmann::json& record, const char* name);  // null: it is none
const nlohmann::json* list_of(const nlohmann::json& record, const char* name);

Cell age_cell(const nlohmann::json& record, const char* name, Timestamp now);
// When something ends; soon and past ones stand out.
Cell expiry_cell(const nlohmann::json& record, const char* name, Timestamp now);
// Of a key: when it stops working, or the end that it was given where nothing tells that.
Cell key_expiry_cell(const nlohmann::json& key, Timestamp now);
Cell state_cell(std::string state);
Cell user_state(const nlohmann::json& record);

// The texts of a list; empty for what is none.
std::string joined(const nlohmann::json& list, std::string_view separator);
// What is excepted, in words: "age 365d, 40 keys, software keys".
std::string exception_words(const nlohmann::json& exceptions);
// What a user may forward, in words: "kinds: local, unix; permit_open: localhost:5432".
std::string forward_words(const nlohmann::json& rules);

}  // namespace berth::views
