#include "keeper/tree.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <memory>

#include "base/encoding.hpp"
#include "base/human.hpp"

namespace berth::keeper {
namespace {
namespace fs = std::filesystem;

constexpr int kMaxDepth = 64;
constexpr std::size_t kDriftShown = 200, kBlock = 1 << 20;
constexpr time_t kFixedTime = 946684800;  // 2000-01-01: zip cannot hold earlier ones

struct DirCloser {
  void operator()(DIR* dir) const { ::closedir(dir); }
};
struct DigestFree {
  void operator()(EVP_MD_CTX* context) const { EVP_MD_CTX_free(context); }
};

class Digest {
 public:
  Digest() : context_(EVP_MD_CTX_new()) { EVP_DigestInit_ex(context_.get(), EVP_sha256(), nullptr); }
  void add(std::string_view data) { EVP_DigestUpdate(context_.get(), data.data(), data.size()); }
  std::string hex() {
    std::array<char, EVP_MAX_MD_SIZE> bytes{};
    unsigned size = 0;
    EVP_DigestFinal_ex(context_.get(), reinterpret_cast<unsigned char*>(bytes.data()), &size);
    return hex_encode({bytes.data(), size});
  }

 private:
  std::unique_ptr<EVP_MD_CTX, DigestFree> context_;
};

// From the file's beginning.
Result<std::string> hash_of(int file) {
  Digest digest;
  std::vector<char> block(kBlock);
  off_t offset = 0;
  for (;;) {
    const ssize_t size = ::pread(file, block.data(), block.size(), offset);
    if (size < 0) return errno_error("reading a file", errno);
    if (size == 0) return digest.hex();
    digest.add({block.data(), static_cast<std::size_t>(size)});
    offset += size;
  }
}

FileDescriptor open_folder(int at, const char* name) { return FileDescriptor(::openat(at, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)); }

// Names in a folder, without "." and "..".
Result<std::vector<std::string>> names_in(int folder) {
  const int copy = ::openat(folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (copy < 0) return errno_error("reading a folder", errno);
  const std::unique_ptr<DIR, DirCloser> dir(::fdopendir(copy));
  if (!dir) return errno_error("reading a folder", errno);
  std::vector<std::string> names;
  while (const dirent* entry = ::readdir(dir.get())) {
    const std::string_view name = entry->d_name;
    if (name != "." && name != "..") names.emplace_back(name);
  }
  std::sort(names.begin(), names.end());
  return names;
}

Error refused(const std::string& path, std::string_view why) {
  return {ErrorKind::denied, "the environment is refused: " + path + " " + std::string(why)};
}

// The kind that the look during the build gives: which of the two is first to see that it is too much is a matter of speed.
Error over_limit(const std::string& path, const std::string& limit) {
  return {ErrorKind::too_large, "the environment is larger than is allowed here (" + limit + "), with " + path};
}

// Does a link at `path` (relative to the tree) stay in it, by its words?
bool stays_inside(const std::string& path, const std::string& target, const std::string& inside) {
  if (target.empty()) return false;
  fs::path joined;
  if (target.front() == '/') {
    if (!target.starts_with(inside + "/")) return false;
    joined = fs::path(target.substr(inside.size() + 1)).lexically_normal();
  } else {
    joined = (fs::path(path).parent_path() / target).lexically_normal();
  }
  return joined.empty() || (!joined.is_absolute() && *joined.begin() != "..");
}

bool is_derived(const std::string& path) {
  return path.ends_with(".pyc") && (path.find("/__pycache__/") != std::string::npos || path.starts_with("__pycache__/"));
}

// What happens to each file, link and folder besides being looked at.
class Sink {
 public:
  virtual ~Sink() = default;
  virtual Result<int> folder(int at, const std::string& name) = 0;  // the new folder's descriptor, closed by the walker; -1: none
  virtual Result<void> link(int at, const std::string& name, const std::string& target) = 0;
  virtual Result<void> file(int at, const std::string& name, int content, const std::string& hash, bool executable, std::uint64_t size) = 0;
};

class Walker {
 public:
  Walker(const TreeRules& rules, Sink* sink) : rules_(rules), sink_(sink) {}
  Tree tree;

  Result<void> walk(int folder, int to, const std::string& prefix, int depth) {
    if (depth > kMaxDepth) return refused(prefix, "lies too deep");
    const auto names = names_in(folder);
    if (names.has_error()) return names.error();
    for (const std::string& name : *names) {
      auto done = take(folder, to, name, prefix.empty() ? name : prefix + "/" + name, depth);
      if (done.has_error()) return done;
    }
    return {};
  }

 private:
  Result<void> take(int folder, int to, const std::string& name, const std::string& path, int depth) {
    struct stat info{};
    if (::fstatat(folder, name.c_str(), &info, AT_SYMLINK_NOFOLLOW) < 0) return errno_error(path, errno);
    if (info.st_uid < rules_.first_owner || info.st_uid - rules_.first_owner >= rules_.owners) return refused(path, "belongs to somebody else");
    if (++tree.files > rules_.max_files) return over_limit(path, std::to_string(rules_.max_files) + " files");
    if (S_ISDIR(info.st_mode)) return take_folder(folder, to, name, path, depth);
    if (S_ISLNK(info.st_mode)) return take_link(folder, to, name, path);
    if (S_ISREG(info.st_mode)) return take_file(folder, to, name, path);
    return refused(path, "is a device, a pipe or a socket");
  }

  Result<void> take_folder(int folder, int to, const std::string& name, const std::string& path, int depth) {
    const FileDescriptor inner = open_folder(folder, name.c_str());
    if (!inner) return errno_error(path, errno);
    FileDescriptor made;
    if (sink_ != nullptr) {
      const auto into = sink_->folder(to, name);
      if (into.has_error()) return into.error();
      made.reset(*into);
    }
    return walk(inner.get(), made.get(), path, depth + 1);
  }

  Result<void> take_link(int folder, int to, const std::string& name, const std::string& path) {
    std::array<char, 4096> target{};
    const ssize_t size = ::readlinkat(folder, name.c_str(), target.data(), target.size());
    if (size < 0 || static_cast<std::size_t>(size) == target.size()) return refused(path, "is a link that cannot be read");
    const std::string text(target.data(), static_cast<std::size_t>(size));
    if (!stays_inside(path, text, rules_.inside)) return refused(path, "is a link out of the environment, to " + text.substr(0, 200));
    tree.entries[path] = "l " + text;
    return sink_ != nullptr ? sink_->link(to, name, text) : Result<void>();
  }

  Result<void> take_file(int folder, int to, const std::string& name, const std::string& path) {
    const FileDescriptor file(::openat(folder, name.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
    struct stat info{};
    if (!file || ::fstat(file.get(), &info) < 0) return errno_error(path, errno);
    if (!S_ISREG(info.st_mode)) return refused(path, "changes while it is looked at");
    if ((info.st_mode & (S_ISUID | S_ISGID)) != 0) return refused(path, "would run as another user (set-user-id)");
    tree.bytes += static_cast<std::uint64_t>(info.st_size);
    if (rules_.max_bytes != 0 && tree.bytes > rules_.max_bytes) return over_limit(path, human_bytes(rules_.max_bytes) + ", environments.disk");
    const auto hashed = hash_of(file.get());
    if (hashed.has_error()) return hashed.error();
    const std::string& hash = *hashed;
    const bool executable = (info.st_mode & 0111) != 0;
    if (!is_derived(path)) tree.entries[path] = (executable ? "x " : "f ") + hash;
    return sink_ != nullptr ? sink_->file(to, name, file.get(), hash, executable, static_cast<std::uint64_t>(info.st_size)) : Result<void>();
  }

  const TreeRules& rules_;
  Sink* sink_;
};

// Makes the tree anew from objects: <objects>/ab/cdef…, with an "x" at the end for executable ones.
class Sealer final : public Sink {
 public:
  explicit Sealer(int objects) : objects_(objects) {}

  Result<int> folder(int at, const std::string& name) override {
    if (::mkdirat(at, name.c_str(), 0755) < 0) return errno_error("making " + name, errno);
    FileDescriptor made = open_folder(at, name.c_str());
    if (!made) return errno_error("making " + name, errno);
    return made.release();
  }

  Result<void> link(int at, const std::string& name, const std::string& target) override {
    if (::symlinkat(target.c_str(), at, name.c_str()) < 0) return errno_error("making " + name, errno);
    return {};
  }

  Result<void> file(int at, const std::string& name, int content, const std::string& hash, bool executable, std::uint64_t size) override {
    const std::string group = hash.substr(0, 2);
    const std::string object = group + "/" + hash.substr(2) + (executable ? "x" : "");
    struct stat known{};
    const bool there = ::fstatat(objects_, object.c_str(), &known, AT_SYMLINK_NOFOLLOW) == 0 && static_cast<std::uint64_t>(known.st_size) == size;
    if (there && ::linkat(objects_, object.c_str(), at, name.c_str(), 0) == 0) return {};
    // New, or it has as many names as a file can have: a further copy takes its place.
    if (::mkdirat(objects_, group.c_str(), 0700) < 0 && errno != EEXIST) return errno_error("the store", errno);
    const auto copied = copy(content, hash, executable, size);
    if (copied.has_error()) return copied;
    if (::renameat(objects_, kUnfinished, objects_, object.c_str()) < 0) return errno_error("the store", errno);
    if (::linkat(objects_, object.c_str(), at, name.c_str(), 0) < 0) return errno_error("the store", errno);
    return {};
  }

 private:
  static constexpr const char* kUnfinished = ".unfinished";

  // A copy, not the file itself: whoever built it may hold it open or know it by another name.
  Result<void> copy(int content, const std::string& hash, bool executable, std::uint64_t size) const {
    ::unlinkat(objects_, kUnfinished, 0);
    const FileDescriptor to(::openat(objects_, kUnfinished, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
    if (!to) return errno_error("the store", errno);
    off_t offset = 0;
    while (static_cast<std::uint64_t>(offset) < size) {
      const ssize_t count = ::copy_file_range(content, &offset, to.get(), nullptr, size - static_cast<std::uint64_t>(offset), 0);
      if (count <= 0) return errno_error("copying into the store", count == 0 ? EIO : errno);
    }
    // What is shared under a hash has that hash, whatever happened to the original meanwhile.
    const auto copied = hash_of(to.get());
    if (copied.has_error()) return copied.error();
    if (*copied != hash) return Error{ErrorKind::denied, "the environment is refused: a file changes while it is looked at"};
    const timespec times[2] = {{kFixedTime, 0}, {kFixedTime, 0}};
    if (::fchmod(to.get(), executable ? 0555 : 0444) < 0 || ::futimens(to.get(), times) < 0) return errno_error("the store", errno);
    return {};
  }

  int objects_;
};

Result<Tree> walk_tree(const fs::path& path, const TreeRules& rules, Sink* sink, int to) {
  const FileDescriptor top = open_folder(AT_FDCWD, path.c_str());
  if (!top) return errno_error(path.string(), errno);
  Walker walker(rules, sink);
  const auto walked = walker.walk(top.get(), to, "", 0);
  if (walked.has_error()) return walked.error();
  return std::move(walker.tree);
}

void list_capped(std::vector<std::string>& into, const std::string& path) {
  if (into.size() < kDriftShown) into.push_back(path);
}

}  // namespace

std::string Tree::hash() const {
  Digest digest;
  for (const auto& [path, entry] : entries) {
    digest.add({entry.c_str(), entry.size() + 1});
    digest.add({path.c_str(), path.size() + 1});
  }
  return digest.hex();
}

Result<Tree> read_tree(const fs::path& path, const TreeRules& rules) { return walk_tree(path, rules, nullptr, -1); }

Result<Tree> seal_tree(const fs::path& path, const TreeRules& rules, const fs::path& objects, const fs::path& to) {
  const FileDescriptor store = open_folder(AT_FDCWD, objects.c_str());
  if (!store) return errno_error(objects.string(), errno);
  if (::mkdir(to.c_str(), 0755) < 0) return errno_error(to.string(), errno);
  const FileDescriptor made = open_folder(AT_FDCWD, to.c_str());
  if (!made) return errno_error(to.string(), errno);
  Sealer sealer(store.get());
  auto tree = walk_tree(path, rules, &sealer, made.get());
  // Before it gets its name, all of it is on the disk.
  if (tree.has_value() && ::syncfs(made.get()) < 0) return errno_error("writing the environment to the disk", errno);
  return tree;
}

TreeDrift compare(const Tree& expected, const Tree& found) {
  TreeDrift drift;
  for (const auto& [path, entry] : expected.entries) {
    const auto other = found.entries.find(path);
    if (other == found.entries.end()) {
      list_capped(drift.missing, path);
    } else if (other->second != entry) {
      list_capped(drift.changed, path);
    }
  }
  for (const auto& [path, entry] : found.entries) {
    if (!expected.entries.contains(path)) list_capped(drift.added, path);
  }
  return drift;
}

std::uint64_t disk_use(const fs::path& path, std::uint64_t enough) {
  std::uint64_t sum = 0;
  std::error_code error;
  for (fs::recursive_directory_iterator entry(path, fs::directory_options::skip_permission_denied, error), end; !error && entry != end; entry.increment(error)) {
    struct stat info{};
    if (::lstat(entry->path().c_str(), &info) == 0) sum += static_cast<std::uint64_t>(info.st_blocks) * 512 / std::max<nlink_t>(S_ISDIR(info.st_mode) ? 1 : info.st_nlink, 1);
    if (sum > enough) break;
  }
  return sum;
}

std::uint64_t sweep_objects(const fs::path& objects) {
  std::uint64_t freed = 0;
  std::error_code error;
  for (fs::recursive_directory_iterator entry(objects, error), end; !error && entry != end; entry.increment(error)) {
    struct stat info{};
    if (::lstat(entry->path().c_str(), &info) < 0 || !S_ISREG(info.st_mode) || info.st_nlink > 1) continue;
    if (::unlink(entry->path().c_str()) == 0) freed += static_cast<std::uint64_t>(info.st_size);
  }
  return freed;
}

}  // namespace berth::keeper
