#include "config/reading.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <numeric>

#include "base/handles.hpp"

namespace berth::config {

std::string Faults::text() const {
  auto sorted = faults_;
  std::stable_sort(sorted.begin(), sorted.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
  std::string all;
  for (const auto& [line, what] : sorted) {
    if (!all.empty()) all += '\n';
    all += file_;
    if (line != 0) all.append(":").append(std::to_string(line));
    all.append(": ").append(what);
  }
  return all;
}

std::size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), std::size_t{0});
  for (std::size_t i = 1; i <= a.size(); ++i) {
    std::size_t diagonal = row[0];
    row[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t above = row[j];
      row[j] = std::min({row[j] + 1, row[j - 1] + 1, diagonal + (a[i - 1] == b[j - 1] ? 0 : 1)});
      diagonal = above;
    }
  }
  return row[b.size()];
}

Result<std::string> read_settings_file(const std::filesystem::path& path) {
  constexpr std::size_t kMost = 1024 * 1024;
  const FileDescriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!file) return errno_error(path.string() + " cannot be read", errno);
  std::string text(kMost + 1, '\0');
  std::size_t used = 0;
  for (ssize_t got = 1; got > 0 && used <= kMost; used += static_cast<std::size_t>(std::max<ssize_t>(got, 0))) {
    got = ::read(file.get(), text.data() + used, text.size() - used);
    if (got < 0) return errno_error(path.string() + " cannot be read", errno);
  }
  if (used > kMost) return Error{ErrorKind::too_large, path.string() + " is over 1 MiB: this is not a settings file"};
  text.resize(used);
  return text;
}

}  // namespace berth::config
