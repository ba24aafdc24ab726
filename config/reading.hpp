// What berthd's and the keeper's settings files have in common: reading the file, collecting faults with their lines, guessing what was meant.
#pragma once
#include <cstddef>
#include <filesystem>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.hpp"

namespace berth::config {

// Faults of one file; line 0 is the file as a whole.
class Faults {
 public:
  explicit Faults(std::string_view file) : file_(file) {}
  void add(std::size_t line, std::string text) { faults_.emplace_back(line, std::move(text)); }
  bool any() const { return !faults_.empty(); }
  // "FILE:LINE: WHAT", one a line, in the order of the file.
  std::string text() const;

 private:
  std::string file_;
  std::vector<std::pair<std::size_t, std::string>> faults_;
};

// Levenshtein distance: how far a typing mistake is from a name.
std::size_t edit_distance(std::string_view a, std::string_view b);

// The whole of a settings file; Error{too_large} over 1 MiB, else the system's error with the path.
Result<std::string> read_settings_file(const std::filesystem::path& path);

}  // namespace berth::config
