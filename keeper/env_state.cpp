// What an owner's names mean now: links, activation and kernels, as one folder that one rename makes current.
#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>

#include "keeper/env_documents.hpp"
#include "keeper/env_files.hpp"

namespace berth::keeper {
namespace {
namespace fs = std::filesystem;

constexpr std::size_t kKernelLimit = 64 * 1024, kStatesKept = 3;
constexpr int kDepthLimit = 12;

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

Result<void> write_kernels(const fs::path& kernels, const fs::path& scripts, const EnvironmentState::Item& item, const fs::path& prefix) {
  const FileDescriptor folder(::open(prefix.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (!folder) return Error{ErrorKind::not_found, "the files of the environment " + item.name + " are gone; install it again"};
  for (const std::string& name : kernels_below(folder.get())) {
    const FileDescriptor place_of_own = open_below(folder.get(), {"share", "jupyter", "kernels", name.c_str()});
    if (!place_of_own) continue;
    const auto shallow = [](int depth, nlohmann::json::parse_event_t, nlohmann::json&) { return depth <= kDepthLimit; };
    const auto own = nlohmann::json::parse(read_in(place_of_own.get(), "kernel.json"), shallow, false);
    const auto kernel = kernel_files(item, name, own);
    if (!kernel) continue;
    if (!kernel->script.empty()) {
      if (auto written = write_file(scripts / kernel_name(item, name), kernel->script); written.has_error()) return written;
    }
    const fs::path place = kernels / kernel_name(item, name);
    if (auto made = make_folder(place, 0755); made.has_error()) return made;
    auto written = write_file(place / "kernel.json", kernel->document.dump(1, ' ', true, nlohmann::json::error_handler_t::replace));
    if (written.has_error()) return written;
  }
  return {};
}

}  // namespace

Result<void> EnvStore::write_state(const fs::path& folder, const std::string& owner, const EnvironmentState& state) {
  const fs::path current = folder / "current", activate = folder / "activate", kernels = folder / "jupyter/kernels";
  for (const fs::path& path : {folder, current, activate, folder / "start", folder / "jupyter", kernels}) {
    if (auto made = make_folder(path, 0755); made.has_error()) return made;
  }
  std::string list;
  for (const auto& item : state.items) {
    if (::symlink(item.prefix.c_str(), (current / item.name).c_str()) < 0) return errno_error("the environment " + item.name, errno);
    if (auto written = write_file(activate / (item.name + ".sh"), activation_script(item)); written.has_error()) return written;
    const std::string document = activation_document(item).dump(-1, ' ', true, nlohmann::json::error_handler_t::replace);
    if (auto written = write_file(activate / (item.name + ".json"), document); written.has_error()) return written;
    if (auto written = write_kernels(kernels, folder / "start", item, prefix(owner, item.id)); written.has_error()) return written;
    const bool is_default = item.name == state.default_name && !state.team_default;
    list += std::string(is_default ? "*" : "-") + " " + item.name + " " + std::to_string(item.revision) + " " + item.prefix + "\n";
  }
  if (auto written = write_file(folder / "list", list); written.has_error()) return written;
  if (state.default_name.empty()) return {};
  // Links, so that the default follows when the team's goes to another revision.
  const std::string from = state.team_default ? std::string(kEnvironmentsInside) + "/" + std::string(kTeam) + "/now/activate/" : "activate/";
  if (::symlink((from + state.default_name + ".sh").c_str(), (folder / "activate.sh").c_str()) < 0) return errno_error("the default environment", errno);
  if (::symlink((from + state.default_name + ".json").c_str(), (folder / "environment.json").c_str()) < 0) return errno_error("the default environment", errno);
  return write_file(folder / "default", (state.team_default ? std::string(kTeam) + "/" : std::string()) + state.default_name + "\n");
}

Result<void> EnvStore::apply(const std::string& owner, const EnvironmentState& state) {
  const fs::path folder = owner_folder(owner);
  std::vector<std::int64_t> numbers;
  for (const std::string& name : names_of(folder)) {
    if (name.starts_with(kState)) numbers.push_back(std::strtoll(name.c_str() + kState.size(), nullptr, 10));
  }
  std::sort(numbers.begin(), numbers.end());
  const std::string name = std::string(kState) + std::to_string(numbers.empty() ? 1 : numbers.back() + 1);
  const fs::path unfinished = folder / (std::string(kNew) + "state");
  erase(unfinished);
  if (auto written = write_state(unfinished, owner, state); written.has_error()) {
    erase(unfinished);
    return written;
  }
  if (::rename(unfinished.c_str(), (folder / name).c_str()) < 0) return errno_error("the state of the environments", errno);
  if (auto flipped = flip(folder / "now", name); flipped.has_error()) return flipped;
  // Whoever reads one of the last states just now can go on.
  for (std::size_t i = 0; i + kStatesKept <= numbers.size(); ++i) erase(folder / (std::string(kState) + std::to_string(numbers[i])));
  return {};
}

}  // namespace berth::keeper
