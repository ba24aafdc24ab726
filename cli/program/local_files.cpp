#include "cli/program/local_files.hpp"

#include <SQLiteCpp/SQLiteCpp.h>
#include <fcntl.h>
#include <sqlite3.h>
#include <sys/stat.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "base/handles.hpp"
#include "base/human.hpp"

namespace berth::cli {
namespace {

namespace fs = std::filesystem;

Failure file_failure(std::string_view doing, int error) { return {ExitCode::failed, errno_error(doing, error)}; }

// A new file beside the target, readable by its owner only; gone again unless it was put in place.
class NewFile {
 public:
  static Outcome<NewFile> beside(const fs::path& target) {
    NewFile file;
    file.path_ = target.string() + ".XXXXXX";
    file.fd_.reset(::mkostemp(file.path_.data(), O_CLOEXEC));  // mode 0600
    if (!file.fd_) {
      const int error = errno;
      file.path_.clear();
      return file_failure("cannot write beside " + target.string(), error);
    }
    return file;
  }
  NewFile(NewFile&& other) noexcept : path_(std::exchange(other.path_, {})), fd_(std::move(other.fd_)) {}
  NewFile& operator=(NewFile&&) = delete;
  ~NewFile() {
    if (!path_.empty()) ::unlink(path_.c_str());
  }

  const std::string& path() const { return path_; }
  std::uint64_t size() const { return size_; }

  Result<void> append(std::string_view piece) {
    size_ += piece.size();
    while (!piece.empty()) {
      const ssize_t written = ::write(fd_.get(), piece.data(), piece.size());
      if (written < 0 && errno == EINTR) continue;
      if (written < 0) return errno_error("cannot write " + path_, errno);
      piece.remove_prefix(static_cast<std::size_t>(written));
    }
    return {};
  }

  // On disk and under its name, or not at all. Without `replace` an existing target stays as it is.
  Outcome<> put_in_place(const fs::path& target, bool replace) {
    if (::fsync(fd_.get()) != 0) return file_failure("cannot write " + path_ + " to the disk", errno);
    if (::renameat2(AT_FDCWD, path_.c_str(), AT_FDCWD, target.c_str(), replace ? 0 : RENAME_NOREPLACE) != 0) {
      if (errno == EEXIST) return failure_of({ErrorKind::conflict, target.string() + " exists; --force replaces it"});
      return file_failure("cannot make " + target.string(), errno);
    }
    path_.clear();
    const fs::path folder = target.has_parent_path() ? target.parent_path() : fs::path(".");
    const FileDescriptor directory(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!directory || ::fsync(directory.get()) != 0) return file_failure("cannot write " + folder.string() + " to the disk", errno);
    return {};
  }

 private:
  NewFile() = default;
  std::string path_;
  FileDescriptor fd_;
  std::uint64_t size_ = 0;
};

// A backup that does not open is none: better known now.
Outcome<> check_store(const std::string& path) {
  try {
    // immutable: no lock, no -wal file beside it.
    const SQLite::Database copy("file:" + percent_encode(path, "/") + "?immutable=1", SQLite::OPEN_READONLY | SQLITE_OPEN_URI);
    SQLite::Statement check(copy, "PRAGMA quick_check(1)");
    if (check.executeStep() && check.getColumn(0).getString() == "ok") return {};
  } catch (const SQLite::Exception&) {
    // It isn't a database at all: the same answer.
  }
  return Failure{ExitCode::failed, {ErrorKind::internal, "what berthd sent is not a sound copy of the store; nothing was written"}};
}

class Files final : public LocalFiles {
 public:
  Outcome<std::string> read(const std::string& path, std::size_t most) const override {
    std::ifstream file(path, std::ios::binary);
    if (!file) return failure_of({ErrorKind::invalid, errno_error("cannot read " + path, errno).message});
    std::string text(most + 1, '\0');
    file.read(text.data(), static_cast<std::streamsize>(text.size()));
    if (file.bad()) return failure_of({ErrorKind::invalid, "cannot read " + path});
    text.resize(static_cast<std::size_t>(file.gcount()));
    if (text.size() > most) return failure_of({ErrorKind::invalid, path + " is larger than " + human_bytes(most)});
    return text;
  }

  Outcome<std::uint64_t> write_store(const std::string& path, bool replace, const Fill& fill) const override {
    const fs::path target(path);
    std::error_code ignored;
    if (fs::is_directory(target, ignored)) return usage_failure(path + " is a directory: name a file");
    if (!replace && fs::exists(target, ignored)) return failure_of({ErrorKind::conflict, path + " exists; --force replaces it"});
    Outcome<NewFile> file = NewFile::beside(target);
    if (!file) return file.error();
    const Outcome<> filled = fill([&](std::string_view piece) { return file->append(piece); });
    if (!filled) return filled.error();
    if (const Outcome<> sound = check_store(file->path()); !sound) return sound.error();
    if (const Outcome<> placed = file->put_in_place(target, replace); !placed) return placed.error();
    return file->size();
  }
};

}  // namespace

const LocalFiles& local_files() {
  static const Files files;
  return files;
}

}  // namespace berth::cli
