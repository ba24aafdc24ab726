// Reading files of public keys before anything is sent: berthd decides what it takes, this says early and by line what can't be a key.
#pragma once
#include <string>
#include <string_view>
#include <vector>

#include "cli/command.hpp"

namespace berth::cli {

struct KeyLine {
  int number = 0;  // from 1
  std::string text;
};

// The lines of FILE, or of standard input for "-" and nothing, that hold keys; empty ones and those that begin with # are left out. Every bad line
// is told in the failure: private keys, options, other formats.
Outcome<std::vector<KeyLine>> read_key_lines(const std::string& file, const Context& context);
// `text` without blanks, tabs and carriage returns at its ends.
std::string_view trimmed(std::string_view text);
// Why `line` can't be a public key; empty when it looks like one.
std::string fault_of_key_line(std::string_view line);

}  // namespace berth::cli
