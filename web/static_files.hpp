// The built portal app, read into memory at start: what is not in the table does not exist, so no path can leave the folder.
#pragma once
#include <filesystem>
#include <map>
#include <string>
#include <string_view>

#include "base/result.hpp"
#include "web/http_head.hpp"
#include "web/response.hpp"

namespace berth::web {

class StaticFiles {
 public:
  // Regular files below `directory` (symbolic links are skipped); NAME.br and NAME.gz are NAME compressed. At most 64 MiB.
  static Result<StaticFiles> load(const std::filesystem::path& directory);
  bool has_pages() const { return files_.contains("/index.html"); }

  // Answers GET and HEAD for any path of the portal that is not the API's: a file, or index.html for a page of the app; 404 for a
  // missing asset.
  Response answer(const RequestHead& head) const;

 private:
  struct File {
    std::string plain, gzip, brotli, etag;
    std::string_view content_type;
  };
  std::map<std::string, File, std::less<>> files_;
};

}  // namespace berth::web
