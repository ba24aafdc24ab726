#include "auth/rows.hpp"

#include "auth/forward_policy.hpp"
#include "auth/key_exceptions.hpp"
#include "base/human.hpp"

namespace berth::auth {
namespace {

struct RoleName {
  Role role;
  std::string_view name;
};
constexpr RoleName kRoles[] = {{Role::user, "user"}, {Role::auditor, "auditor"}, {Role::admin, "admin"}};

}  // namespace

std::string_view name_of(Role role) {
  for (const RoleName& row : kRoles) {
    if (row.role == role) return row.name;
  }
  return "user";
}

std::optional<Role> parse_role(std::string_view name) {
  for (const RoleName& row : kRoles) {
    if (row.name == name) return row.role;
  }
  return std::nullopt;
}

std::string_view name_of(KeyState state) {
  switch (state) {
    case KeyState::active: return "active";
    case KeyState::superseded: return "superseded";
    case KeyState::expired: return "expired";
    case KeyState::revoked: return "revoked";
  }
  return "revoked";
}

std::string stored_text(std::string_view text, std::size_t most) {
  std::string line = printable(text.substr(0, most));  // cut first: never spend work on more than is kept
  if (line.size() <= most && text.size() <= most) return line;
  constexpr std::string_view kMore = "…";
  std::size_t end = std::min(line.size(), most - kMore.size());
  while (end > 0 && end < line.size() && (static_cast<unsigned char>(line[end]) & 0xc0) == 0x80) --end;
  line.resize(end);
  return line.append(kMore);
}

User user_in(const SQLite::Statement& row, int first) {
  User user;
  user.id = row.getColumn(first).getInt64();
  user.name = text_in(row, first + 1);
  user.role = parse_role(text_in(row, first + 2)).value_or(Role::user);
  user.disabled = row.getColumn(first + 3).getInt() != 0;
  user.created_at = time_in(row, first + 4);
  user.key_exceptions = stored_exceptions(text_in(row, first + 5));
  user.forwards = stored_forward_rules(text_in(row, first + 6));
  return user;
}

Key key_in(const SQLite::Statement& row, int first) {
  Key key;
  key.id = row.getColumn(first).getInt64();
  key.user_id = row.getColumn(first + 1).getInt64();
  key.user = text_in(row, first + 2);
  key.type = text_in(row, first + 3);
  key.blob = text_in(row, first + 4);
  key.fingerprint = text_in(row, first + 5);
  key.comment = text_in(row, first + 6);
  key.added_at = time_in(row, first + 7);
  key.expires_at = time_in(row, first + 8);
  key.revoked_at = time_in(row, first + 9);
  key.last_used_at = time_in(row, first + 10);
  key.last_used_from = text_in(row, first + 11);
  key.options = text_in(row, first + 19);
  key.superseded_at = time_in(row, first + 12);
  key.grace_ends_at = time_in(row, first + 13);
  key.successor_id = row.getColumn(first + 14).getInt64();
  key.successor = text_in(row, first + 15);
  key.retire_on_first_use = row.getColumn(first + 16).getInt() != 0;
  key.retires_older = row.getColumn(first + 17).getInt() != 0;
  key.exceptions = stored_exceptions(text_in(row, first + 18));
  return key;
}

}  // namespace berth::auth
