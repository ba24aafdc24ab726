// The files of the machine that `berth` runs on. Linked into that program only: see LocalFiles in cli/command.hpp.
#pragma once
#include "cli/command.hpp"

namespace berth::cli {

const LocalFiles& local_files();

}  // namespace berth::cli
