// The programs that the tests run (ssh, ssh-keygen, what a client asks for), and the files that they leave.
#pragma once
#include <sys/types.h>

#include <string>
#include <string_view>
#include <vector>

#include "tests/support/temp_dir.hpp"

namespace berth::ssh::test {

std::string read_file(const std::string& path);
void write_file(const std::string& path, std::string_view text);

// Starts a program with these as its standard input, output and error; -1: it cannot be started.
pid_t spawn(const std::vector<std::string>& command, int in, int out, int err);

// Makes FILE and FILE.pub with ssh-keygen and answers the public blob.
std::string make_key(const std::string& file, const std::string& type = "ed25519");

struct Finished {
  int code = -1;
  std::string out, err;
};
// Runs a program to its end (killed after a minute) with `input` as its standard input.
Finished run(const std::vector<std::string>& command, std::string_view input = {});

}  // namespace berth::ssh::test
