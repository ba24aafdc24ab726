#include "auth/environments.hpp"

#include <algorithm>

#include "auth/rows.hpp"

namespace berth::auth {
namespace {

// Parameter 1: whose default is meant among the team's.
constexpr char kColumns[] =
    "SELECT e.id, coalesce(u.name, 'team'), e.name, e.revision, (SELECT count(*) FROM environment_revisions c WHERE c.environment_id = e.id), "
    "e.is_default = 1 OR d.user_id IS NOT NULL, e.created_at, e.updated_at, r.lock_hash, r.tree_hash, r.packages, r.size_bytes, r.verified_at, r.verified, r.verify_detail, "
    "coalesce((SELECT group_concat(m.name, ' ') FROM environment_maintainers em JOIN users m ON m.id = em.user_id WHERE em.environment_id = e.id), '') "
    "FROM environments e LEFT JOIN users u ON u.id = e.user_id "
    "JOIN environment_revisions r ON r.environment_id = e.id AND r.number = e.revision "
    "LEFT JOIN environment_team_defaults d ON d.environment_id = e.id AND d.user_id = (SELECT id FROM users WHERE name = ?1) ";

Verification verification_in(const SQLite::Statement& row, int first) { return {time_in(row, first), text_in(row, first + 1), text_in(row, first + 2)}; }

Environment environment_in(const SQLite::Statement& row) {
  Environment found;
  found.id = row.getColumn(0).getInt64();
  found.user = text_in(row, 1);
  found.name = text_in(row, 2);
  found.revision = row.getColumn(3).getInt64();
  found.revisions = row.getColumn(4).getInt64();
  found.is_default = row.getColumn(5).getInt() != 0;
  found.created_at = time_in(row, 6);
  found.updated_at = time_in(row, 7);
  found.lock_hash = text_in(row, 8);
  found.tree_hash = text_in(row, 9);
  found.packages = row.getColumn(10).getInt64();
  found.size_bytes = row.getColumn(11).getInt64();
  found.verification = verification_in(row, 12);
  const std::string names = text_in(row, 15);
  for (std::size_t begin = 0; begin < names.size();) {
    const std::size_t end = std::min(names.find(' ', begin), names.size());
    found.maintainers.push_back(names.substr(begin, end - begin));
    begin = end + 1;
  }
  std::sort(found.maintainers.begin(), found.maintainers.end());
  return found;
}

EnvironmentRevision revision_in(const SQLite::Statement& row) {
  EnvironmentRevision found;
  found.number = row.getColumn(0).getInt64();
  found.lock_hash = text_in(row, 1);
  found.tree_hash = text_in(row, 2);
  found.packages = row.getColumn(3).getInt64();
  found.size_bytes = row.getColumn(4).getInt64();
  found.created_at = time_in(row, 5);
  found.created_by = text_in(row, 6);
  found.verification = verification_in(row, 7);
  return found;
}

std::vector<std::string> texts_in(SQLite::Statement row) {
  std::vector<std::string> all;
  while (row.executeStep()) all.push_back(text_in(row, 0));
  return all;
}

}  // namespace

EnvironmentRights environment_rights(std::string_view owner, const Environment* found, const EnvironmentCaller& caller) {
  const bool own = owner == caller.name;
  if (owner != kTeam) return {own || caller.reads_all || caller.is_admin, own || caller.is_admin};
  if (found == nullptr) return {true, caller.is_admin || caller.may_share};
  const auto& names = found->maintainers;
  return {true, caller.is_admin || std::find(names.begin(), names.end(), caller.name) != names.end()};
}

std::vector<FailedVerification> failed_verifications(SQLite::Database& reader, std::string_view user) {
  SQLite::Statement row = query(reader,
                                "SELECT CASE WHEN e.user_id IS NULL THEN 'team/' ELSE '' END || e.name, r.verified_at, r.verified, r.verify_detail FROM environments e "
                                "JOIN environment_revisions r ON r.environment_id = e.id AND r.number = e.revision "
                                "JOIN users u ON u.name = ? WHERE r.verified IN ('changed', 'failed') AND (e.user_id = u.id OR EXISTS "
                                "(SELECT 1 FROM environment_maintainers m WHERE m.environment_id = e.id AND m.user_id = u.id)) ORDER BY 1",
                                user);
  std::vector<FailedVerification> all;
  while (row.executeStep()) all.push_back({text_in(row, 0), verification_in(row, 1)});
  return all;
}

std::vector<Environment> Environments::list(SQLite::Database& reader, std::string_view user) const {
  const char* const which = user.empty() ? "WHERE ?1 = '' " : user == kTeam ? "WHERE ?1 = 'team' AND e.user_id IS NULL " : "WHERE u.name = ?1 OR e.user_id IS NULL ";
  const std::string sql = std::string(kColumns) + which + "ORDER BY e.user_id IS NULL, u.name, e.name";
  SQLite::Statement row = query(reader, sql.c_str(), user);
  std::vector<Environment> all;
  while (row.executeStep()) all.push_back(environment_in(row));
  return all;
}

std::map<std::string, std::int64_t> Environments::count_by_verification(SQLite::Database& reader) const {
  SQLite::Statement row = query(reader, "SELECT r.verified, count(*) FROM environments e JOIN environment_revisions r ON r.environment_id = e.id AND r.number = e.revision GROUP BY r.verified");
  std::map<std::string, std::int64_t> counts;
  while (row.executeStep()) counts[text_in(row, 0)] += row.getColumn(1).getInt64();
  return counts;
}

std::optional<Environment> Environments::find(SQLite::Database& reader, std::string_view owner, std::string_view name, std::string_view viewer) const {
  const std::string sql = std::string(kColumns) + "WHERE coalesce(u.name, 'team') = ?2 AND e.name = ?3";
  SQLite::Statement row = query(reader, sql.c_str(), viewer, owner, name);
  if (!row.executeStep()) return std::nullopt;
  return environment_in(row);
}

std::vector<EnvironmentRevision> Environments::revisions(SQLite::Database& reader, std::int64_t environment) const {
  SQLite::Statement row = query(reader,
                                "SELECT number, lock_hash, tree_hash, packages, size_bytes, created_at, created_by, verified_at, verified, verify_detail "
                                "FROM environment_revisions WHERE environment_id = ? ORDER BY number DESC",
                                environment);
  std::vector<EnvironmentRevision> all;
  while (row.executeStep()) all.push_back(revision_in(row));
  return all;
}

std::optional<EnvironmentRevision> Environments::revision(SQLite::Database& reader, std::int64_t environment, std::int64_t number) const {
  SQLite::Statement row = query(reader,
                                "SELECT number, lock_hash, tree_hash, packages, size_bytes, created_at, created_by, verified_at, verified, verify_detail, "
                                "yaml, lock FROM environment_revisions WHERE environment_id = ? AND number = ?",
                                environment, number);
  if (!row.executeStep()) return std::nullopt;
  EnvironmentRevision found = revision_in(row);
  found.yaml = text_in(row, 10);
  found.lock = text_in(row, 11);
  return found;
}

std::vector<std::string> Environments::lock_hashes(SQLite::Database& reader, std::string_view owner) const {
  return texts_in(query(reader,
                        "SELECT DISTINCT r.lock_hash FROM environment_revisions r JOIN environments e ON e.id = r.environment_id "
                        "LEFT JOIN users u ON u.id = e.user_id WHERE coalesce(u.name, 'team') = ?",
                        owner));
}

std::vector<std::string> Environments::owners(SQLite::Database& reader) const {
  return texts_in(query(reader, "SELECT DISTINCT coalesce(u.name, 'team') FROM environments e LEFT JOIN users u ON u.id = e.user_id"));
}

std::vector<std::string> Environments::users(SQLite::Database& reader) const {
  return texts_in(query(reader, "SELECT name FROM users WHERE id IN (SELECT user_id FROM environments UNION SELECT user_id FROM environment_team_defaults)"));
}

std::vector<std::string> Environments::default_users(SQLite::Database& reader, std::int64_t environment) const {
  return texts_in(query(reader,
                        "SELECT u.name FROM environment_team_defaults d JOIN users u ON u.id = d.user_id WHERE d.environment_id = ?1 "
                        "UNION SELECT u.name FROM environments e JOIN users u ON u.id = e.user_id WHERE e.id = ?1 AND e.is_default = 1",
                        environment));
}

std::optional<Environment> Environments::due(SQLite::Database& reader, Timestamp limit) const {
  const std::string sql = std::string(kColumns) + "WHERE ?1 = '' AND r.tree_hash <> '' AND max(r.verified_at, e.updated_at) < ?2 "
                                                  "ORDER BY max(r.verified_at, e.updated_at), e.id LIMIT 1";
  SQLite::Statement row = query(reader, sql.c_str(), std::string_view(), limit);
  if (!row.executeStep()) return std::nullopt;
  return environment_in(row);
}

}  // namespace berth::auth
