#include "workspaces/images.hpp"

#include <algorithm>

#include "auth/audit.hpp"
#include "auth/rows.hpp"
#include "workspaces/env_builds.hpp"

namespace berth::workspaces {
namespace asio = boost::asio;

namespace {
constexpr std::size_t kMostImages = 100, kMostNeeds = 2000, kTextLimit = 300;
constexpr char kDefault[] = "default";
}  // namespace

void Images::learn(const nlohmann::json& answer) {
  const auto items = answer.find("items");
  if (items == answer.end() || !items->is_array()) return;
  std::vector<OfferedImage> all;
  for (const auto& item : *items) {
    if (!item.is_object() || all.size() >= kMostImages) continue;
    all.push_back({text_of(item, "name"), text_of(item, "description").substr(0, kTextLimit), text_of(item, "image").substr(0, kTextLimit), text_of(item, "glibc").substr(0, 16)});
  }
  const std::lock_guard lock(mutex_);
  offered_ = std::move(all);
}

std::vector<OfferedImage> Images::offered() const {
  const std::lock_guard lock(mutex_);
  return offered_;
}

std::string Images::chosen(SQLite::Database& reader, const WorkspaceId& id) const {
  SQLite::Statement row = auth::query(reader, "SELECT w.image FROM workspace_images w JOIN users u ON u.id = w.user_id WHERE u.name = ? AND w.workspace = ?", id.user, id.name);
  return row.executeStep() ? auth::text_in(row, 0) : std::string();
}

asio::awaitable<Result<void>> Images::choose(auth::Actor actor, WorkspaceId id, std::string name) {
  const auto all = offered();
  if (std::none_of(all.begin(), all.end(), [&](const OfferedImage& image) { return image.name == name; })) {
    co_return Error{ErrorKind::not_found, "there is no image '" + auth::stored_text(name, 64) + "' here; see: berth workspace image"};
  }
  auto change = [=, now = clock_.now()](SQLite::Database& db) -> Result<void> {
    auth::run(db, "DELETE FROM workspace_images WHERE workspace = ? AND user_id = (SELECT id FROM users WHERE name = ?)", id.name, id.user);
    if (name != kDefault) auth::run(db, "INSERT INTO workspace_images (user_id, workspace, image) SELECT id, ?, ? FROM users WHERE name = ?", id.name, name, id.user);
    auth::append_audit(db, now, actor, "workspace.image", id.user + "+" + id.name + " " + name, "ok");
    return {};
  };
  auto done = co_await store_.write(std::move(change));
  co_return done;
}

std::string Images::glibc_needed_by(SQLite::Database& reader, const auth::Environment& environment) const {
  {
    const std::lock_guard lock(mutex_);
    if (const auto known = needs_.find(environment.lock_hash); known != needs_.end()) return known->second;
  }
  const auto revision = environments_.revision(reader, environment.id, environment.revision);
  const auto parsed = parse_lock(revision ? revision->lock : "");
  const std::string need = parsed.has_value() ? glibc_needed(*parsed) : std::string();
  const std::lock_guard lock(mutex_);
  if (needs_.size() >= kMostNeeds) needs_.clear();
  return needs_[environment.lock_hash] = need;
}

std::vector<std::string> Images::warnings(SQLite::Database& reader, const std::string& user, const OfferedImage& image) const {
  std::vector<std::string> lines;
  if (image.glibc.empty()) return lines;
  for (const auth::Environment& environment : environments_.list(reader, user)) {
    if (environment.is_team() && !environment.is_default) continue;
    const std::string need = glibc_needed_by(reader, environment);
    if (need.empty() || !is_older_version(image.glibc, need)) continue;
    lines.push_back("The environment " + (environment.is_team() ? "team/" : std::string()) + environment.name + " needs glibc " + need + " and the image " + image.name + " has " +
                    image.glibc + ": its programs will not run in it");
  }
  return lines;
}

std::vector<std::string> Images::warnings_of(SQLite::Database& reader, const WorkspaceId& id) const {
  std::string name = chosen(reader, id);
  if (name.empty()) name = kDefault;
  for (const OfferedImage& image : offered()) {
    if (image.name == name) return warnings(reader, id.user, image);
  }
  return {};
}

}  // namespace berth::workspaces
