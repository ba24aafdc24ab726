// Words of refusals that several rules share.
#pragma once
#include "base/result.hpp"

namespace berth::auth {

inline Error only_admins() { return {ErrorKind::denied, "only an admin may do this"}; }

}  // namespace berth::auth
