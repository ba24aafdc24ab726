// The schema of the store: auth/migrations/NNNN_*.sql, built into the program (auth/CMakeLists.txt).
#pragma once
#include <span>

#include "base/store.hpp"

namespace berth::auth {

std::span<const Migration> migrations();

}  // namespace berth::auth
