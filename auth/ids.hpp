// Ids of records that people read and type: "s7k2mqw9xhd".
#pragma once
#include <string>

#include "base/encoding.hpp"

namespace berth::auth {

// `kind` (s session, w browser session, h share, t token) and ten random characters of an alphabet without look-alikes: 49 bits. An id names a
// record and proves nothing: it is no secret.
inline std::string new_id(char kind) { return kind + random_text(10, "abcdefghjkmnpqrstuvwxyz23456789"); }

}  // namespace berth::auth
