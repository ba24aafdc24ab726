// Reading files of public keys, before anything is sent: berthd decides what it takes, this says early and by line what can't be a key.
#pragma once
#include <iosfwd>
#include <string>
#include <string_view>
#include <vector>

#include "cli/outcome.hpp"

namespace berth::cli {

struct KeyLine {
  int number = 0;  // from 1
  std::string text;
};

// The lines that hold keys; empty ones and those that begin with # are left out. `file` is "-" for `input`. Every bad line is named in the
// failure: private keys, options, other formats. At most 1 MiB.
Outcome<std::vector<KeyLine>> read_key_file(const std::string& file, std::istream& input);
// Why `line` can't be a public key; empty when it looks like one.
std::string fault_of_key_line(std::string_view line);

}  // namespace berth::cli
