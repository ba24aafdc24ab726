#include "keeper/env_store.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>

#include "base/encoding.hpp"
#include "base/log.hpp"
#include "keeper/env_documents.hpp"
#include "workspaces/names.hpp"

namespace berth::keeper {
namespace {
namespace fs = std::filesystem;

constexpr std::string_view kNew = ".new-", kState = ".state-", kMeta = ".meta-";
constexpr std::size_t kKernelLimit = 64 * 1024, kStatesKept = 3;
constexpr int kDepthLimit = 12;

Result<void> make_folder(const fs::path& path, mode_t mode, std::optional<Account> owner = std::nullopt) {
  if (::mkdir(path.c_str(), 0700) < 0 && errno != EEXIST) return errno_error("making " + path.string(), errno);
  const FileDescriptor folder(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (!folder) return errno_error(path.string(), errno);
  if (owner && ::fchown(folder.get(), owner->uid, owner->gid) < 0) return errno_error("giving away " + path.string(), errno);
  if (::fchmod(folder.get(), mode) < 0) return errno_error("mode of " + path.string(), errno);
  return {};
}

Result<void> write_file(const fs::path& path, std::string_view content, mode_t mode = 0444) {
  const FileDescriptor file(::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600));
  if (!file) return errno_error("writing " + path.string(), errno);
  while (!content.empty()) {
    const ssize_t count = ::write(file.get(), content.data(), content.size());
    if (count < 0) return errno_error("writing " + path.string(), errno);
    content.remove_prefix(static_cast<std::size_t>(count));
  }
  if (::fchmod(file.get(), mode) < 0) return errno_error("writing " + path.string(), errno);
  return {};
}

std::vector<std::string> names_of(const fs::path& folder) {
  std::vector<std::string> names;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(folder, error)) names.push_back(entry.path().filename());
  return names;
}

void erase(const fs::path& path) {
  std::error_code error;
  fs::remove_all(path, error);
  if (error) log_error("keeper.not_erased", {{"path", path.string()}, {"error", error.message()}});
}

// A folder below another, none of whose parts is a link: links in a sealed prefix were a user's choice.
FileDescriptor open_below(int folder, std::initializer_list<const char*> parts) {
  FileDescriptor at(::dup(folder));
  for (const char* part : parts) at.reset(at ? ::openat(at.get(), part, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC) : -1);
  return at;
}

// A small file in such a folder; "" when it is none.
std::string read_in(int folder, const char* name) {
  const FileDescriptor file(::openat(folder, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
  struct stat info{};
  if (!file || ::fstat(file.get(), &info) < 0 || !S_ISREG(info.st_mode) || info.st_size > static_cast<off_t>(kKernelLimit)) return "";
  std::string text(static_cast<std::size_t>(info.st_size), '\0');
  return ::read(file.get(), text.data(), text.size()) == info.st_size ? text : "";
}

// The names of the kernels in a sealed prefix.
std::vector<std::string> kernels_below(int folder) {
  const int kernels = open_below(folder, {"share", "jupyter", "kernels"}).release();
  std::vector<std::string> names;
  DIR* dir = kernels < 0 ? nullptr : ::fdopendir(kernels);
  if (dir == nullptr) return names;
  while (const dirent* entry = ::readdir(dir)) {
    std::string name = entry->d_name;
    if (!name.starts_with('.') && name.size() <= 64 && names.size() < 32 && std::all_of(name.begin(), name.end(), [](unsigned char c) { return std::isalnum(c) || c == '_' || c == '-' || c == '.'; })) {
      names.push_back(std::move(name));
    }
  }
  ::closedir(dir);
  return names;
}

Result<void> write_kernels(const fs::path& kernels, const EnvironmentState::Item& item, const fs::path& prefix) {
  const FileDescriptor folder(::open(prefix.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (!folder) return Error{ErrorKind::not_found, "the files of the environment " + item.name + " are gone; install it again"};
  for (const std::string& name : kernels_below(folder.get())) {
    const FileDescriptor place_of_own = open_below(folder.get(), {"share", "jupyter", "kernels", name.c_str()});
    if (!place_of_own) continue;
    const auto shallow = [](int depth, nlohmann::json::parse_event_t, nlohmann::json&) { return depth <= kDepthLimit; };
    const auto own = nlohmann::json::parse(read_in(place_of_own.get(), "kernel.json"), shallow, false);
    const auto kernel = kernel_document(item, own);
    if (!kernel) continue;
    const fs::path place = kernels / kernel_name(item, name);
    if (auto made = make_folder(place, 0755); made.has_error()) return made;
    auto written = write_file(place / "kernel.json", kernel->dump(1, ' ', true, nlohmann::json::error_handler_t::replace));
    if (written.has_error()) return written;
  }
  return {};
}

// A symlink in place of what was there, in one step.
Result<void> flip(const fs::path& link, const std::string& target) {
  const fs::path fresh = link.parent_path() / (std::string(kNew) + link.filename().string());
  ::unlink(fresh.c_str());
  if (::symlink(target.c_str(), fresh.c_str()) < 0) return errno_error("making " + link.string(), errno);
  if (::rename(fresh.c_str(), link.c_str()) < 0) return errno_error("making " + link.string(), errno);
  return {};
}

}  // namespace

bool is_environment_id(std::string_view id) { return id.size() == 32 && id.find_first_not_of("0123456789abcdef") == std::string_view::npos; }

std::string environment_id(std::string_view lock) { return hex_encode(sha256(lock)).substr(0, 32); }

Result<void> EnvStore::prepare() {
  std::error_code error;
  fs::create_directories(root_.parent_path(), error);
  // Nobody but root comes in from the host; what a workspace sees begins below, by its mount.
  for (const fs::path& folder : {root_, root_ / "objects", root_ / "users", root_ / "builders", root_ / "requests", root_ / "trash"}) {
    if (auto made = make_folder(folder, 0700); made.has_error()) return made;
  }
  ::unlink((root_ / "objects/.unfinished").c_str());
  for (const std::string& user : names_of(root_ / "users")) {
    for (const std::string& name : names_of(user_folder(user))) {
      if (name.starts_with(kNew)) put_aside(user_folder(user) / name);
    }
  }
  for (const std::string& user : names_of(root_ / "builders")) end_build(user);
  return {};
}

Result<fs::path> EnvStore::ensure_user(const std::string& user) {
  const fs::path folder = user_folder(user);
  struct stat info{};
  if (::lstat((folder / "now").c_str(), &info) == 0) return folder;
  if (auto made = make_folder(folder, 0755); made.has_error()) return made.error();
  for (const char* name : {"current", "jupyter"}) {
    if (auto made = flip(folder / name, std::string("now/") + name); made.has_error()) return made.error();
  }
  if (auto applied = apply(user, {}); applied.has_error()) return applied.error();
  return folder;
}

Result<SealedEnvironment> EnvStore::find(const std::string& user, const std::string& id) const {
  const Error missing{ErrorKind::not_found, "there is no such environment on this machine"};
  struct stat info{};
  if (::lstat(prefix(user, id).c_str(), &info) < 0 || !S_ISDIR(info.st_mode)) return missing;
  std::ifstream file(user_folder(user) / (std::string(kMeta) + id));
  const auto json = nlohmann::json::parse(file, nullptr, false);
  if (!json.is_object()) return missing;
  return SealedEnvironment{json.value("lock_hash", ""), json.value("tree_hash", ""), json.value("bytes", std::uint64_t{0}), json.value("files", std::uint64_t{0})};
}

Result<EnvStore::Build> EnvStore::begin_build(const std::string& user, Account owner, const std::map<std::string, std::string>& files) {
  end_build(user);
  const Build build{root_ / "builders" / user, root_ / "requests" / user};
  if (auto made = make_folder(build.folder, 0700, owner); made.has_error()) return made.error();
  if (auto made = make_folder(build.request, 0755); made.has_error()) return made.error();
  for (const auto& [name, content] : files) {
    if (auto written = write_file(build.request / name, content); written.has_error()) return written.error();
  }
  return build;
}

void EnvStore::end_build(const std::string& user) {
  for (const std::string& name : names_of(root_ / "builders" / user)) {
    if (name != "archives" && name != "repodata") put_aside(root_ / "builders" / user / name);
  }
  erase(root_ / "requests" / user);
}

// A rename: deleting many files takes long, and nobody should wait for it.
void EnvStore::put_aside(const fs::path& path) {
  for (int attempt = 0; attempt < 1000; ++attempt) {
    const fs::path place = root_ / "trash" / std::to_string(++put_aside_);
    struct stat info{};
    if (::lstat(place.c_str(), &info) == 0) continue;
    if (::rename(path.c_str(), place.c_str()) == 0 || errno == ENOENT) return;
    break;
  }
  erase(path);
}

void EnvStore::empty_trash() {
  for (const std::string& name : names_of(root_ / "trash")) erase(root_ / "trash" / name);
}

Result<SealedEnvironment> EnvStore::seal(const std::string& user, const std::string& id, const std::string& lock_hash, const TreeRules& rules) {
  if (auto made = ensure_user(user); made.has_error()) return made.error();
  const fs::path fresh = user_folder(user) / (std::string(kNew) + id);
  put_aside(fresh);
  const auto tree = seal_tree(root_ / "builders" / user / id, rules, root_ / "objects", fresh);
  if (tree.has_error()) {
    put_aside(fresh);
    return tree.error();
  }
  SealedEnvironment sealed{lock_hash, tree->hash(), tree->bytes, tree->files};
  const nlohmann::json meta = {{"lock_hash", sealed.lock_hash}, {"tree_hash", sealed.tree_hash}, {"bytes", sealed.bytes}, {"files", sealed.files}};
  if (auto written = write_file(user_folder(user) / (std::string(kMeta) + id), meta.dump()); written.has_error()) return written.error();
  if (::rename(fresh.c_str(), prefix(user, id).c_str()) < 0) return errno_error("publishing the environment", errno);
  return sealed;
}

Result<std::pair<Tree, Tree>> EnvStore::read_both(const std::string& user, const std::string& id, const TreeRules& rules) {
  TreeRules ours = rules;
  ours.first_owner = ::geteuid();
  ours.owners = 1;
  auto sealed = read_tree(prefix(user, id), ours);
  if (sealed.has_error()) return sealed.error();
  auto built = read_tree(root_ / "builders" / user / id, rules);
  if (built.has_error()) return built.error();
  return std::pair(std::move(*sealed), std::move(*built));
}

Result<void> EnvStore::write_state(const fs::path& folder, const std::string& user, const EnvironmentState& state) {
  const fs::path current = folder / "current", activate = folder / "activate", kernels = folder / "jupyter/kernels";
  for (const fs::path& path : {folder, current, activate, folder / "jupyter", kernels}) {
    if (auto made = make_folder(path, 0755); made.has_error()) return made;
  }
  std::string list;
  for (const auto& item : state.items) {
    if (::symlink(prefix_inside(item.id).c_str(), (current / item.name).c_str()) < 0) return errno_error("the environment " + item.name, errno);
    const std::string script = activation_script(item);
    if (auto written = write_file(activate / (item.name + ".sh"), script); written.has_error()) return written;
    if (auto written = write_kernels(kernels, item, prefix(user, item.id)); written.has_error()) return written;
    const bool is_default = item.name == state.default_name;
    list += std::string(is_default ? "*" : "-") + " " + item.name + " " + std::to_string(item.revision) + " " + prefix_inside(item.id) + "\n";
    if (!is_default) continue;
    if (auto written = write_file(folder / "activate.sh", script); written.has_error()) return written;
    if (auto written = write_file(folder / "environment.json", activation_document(item).dump(-1, ' ', true, nlohmann::json::error_handler_t::replace)); written.has_error()) return written;
  }
  return write_file(folder / "list", list);
}

Result<void> EnvStore::apply(const std::string& user, const EnvironmentState& state) {
  const fs::path folder = user_folder(user);
  std::vector<std::int64_t> numbers;
  for (const std::string& name : names_of(folder)) {
    if (name.starts_with(kState)) numbers.push_back(std::strtoll(name.c_str() + kState.size(), nullptr, 10));
  }
  std::sort(numbers.begin(), numbers.end());
  const std::string name = std::string(kState) + std::to_string(numbers.empty() ? 1 : numbers.back() + 1);
  const fs::path unfinished = folder / (std::string(kNew) + "state");
  erase(unfinished);
  if (auto written = write_state(unfinished, user, state); written.has_error()) {
    erase(unfinished);
    return written;
  }
  if (::rename(unfinished.c_str(), (folder / name).c_str()) < 0) return errno_error("the state of the environments", errno);
  if (auto flipped = flip(folder / "now", name); flipped.has_error()) return flipped;
  // Whoever reads one of the last states just now can go on.
  for (std::size_t i = 0; i + kStatesKept <= numbers.size(); ++i) erase(folder / (std::string(kState) + std::to_string(numbers[i])));
  return {};
}

std::size_t EnvStore::collect(const std::string& user, const std::set<std::string>& keep) {
  std::size_t removed = 0;
  for (const std::string& name : names_of(user_folder(user))) {
    if (!is_environment_id(name) || keep.contains(name)) continue;
    put_aside(prefix(user, name));
    ::unlink((user_folder(user) / (std::string(kMeta) + name)).c_str());
    ++removed;
  }
  return removed;
}

}  // namespace berth::keeper
