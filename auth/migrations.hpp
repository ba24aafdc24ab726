// The schema of the store: auth/migrations/NNNN_*.sql, built into the program (auth/CMakeLists.txt). During an upgrade the berthd of the release before
// goes on using the store that the new one has migrated: a migration adds tables, indices and columns with defaults; what no release needs any more is
// removed in a later one.
#pragma once
#include <span>

#include "base/store.hpp"

namespace berth::auth {

std::span<const Migration> migrations();

}  // namespace berth::auth
