#include "web/static_files.hpp"

#include <fstream>
#include <sstream>

#include "base/encoding.hpp"
#include "web/pages.hpp"

namespace berth::web {
namespace {
namespace fs = std::filesystem;

constexpr std::size_t kMaxBytes = 64 * 1024 * 1024;

struct TypeRow { std::string_view extension, type; };
constexpr TypeRow kTypes[] = {
    {".html", "text/html; charset=utf-8"}, {".js", "text/javascript; charset=utf-8"}, {".css", "text/css; charset=utf-8"},
    {".svg", "image/svg+xml"}, {".png", "image/png"}, {".ico", "image/x-icon"}, {".json", "application/json"}, {".map", "application/json"},
    {".webmanifest", "application/manifest+json"}, {".woff2", "font/woff2"}, {".txt", "text/plain; charset=utf-8"}, {".wasm", "application/wasm"},
};

std::string_view type_of(std::string_view path) {
  for (const TypeRow& row : kTypes)
    if (path.ends_with(row.extension)) return row.type;
  return "application/octet-stream";
}

std::string etag_of(const std::string& content) { return "\"" + hex_encode(sha256(content).substr(0, 12)) + "\""; }

}  // namespace

Result<StaticFiles> StaticFiles::load(const fs::path& directory) {
  StaticFiles all;
  std::size_t total = 0;
  std::error_code error;
  std::map<std::string, std::string> contents;
  for (fs::recursive_directory_iterator it(directory, error), end; !error && it != end; it.increment(error)) {
    if (!it->is_regular_file(error) || it->is_symlink(error)) continue;
    std::ifstream in(it->path(), std::ios::binary);
    std::ostringstream content;
    content << in.rdbuf();
    if (!in) return Error{ErrorKind::internal, "cannot read " + it->path().string()};
    std::string text = std::move(content).str();
    if ((total += text.size()) > kMaxBytes) return Error{ErrorKind::too_large, "the pages in " + directory.string() + " are larger than 64 MiB"};
    contents.emplace("/" + fs::relative(it->path(), directory).generic_string(), std::move(text));
  }
  for (auto& [path, content] : contents) {
    const bool gzip = path.ends_with(".gz"), brotli = path.ends_with(".br");
    const std::string original = gzip || brotli ? path.substr(0, path.size() - 3) : path;
    if ((gzip || brotli) && contents.contains(original)) {
      (gzip ? all.files_[original].gzip : all.files_[original].brotli) = std::move(content);
      continue;
    }
    File& file = all.files_[path];
    file.etag = etag_of(content);
    file.content_type = type_of(path);
    file.plain = content;
  }
  return all;
}

Response StaticFiles::answer(const RequestHead& head) const {
  if (head.method != "GET" && head.method != "HEAD") {
    Response response = error_response(405, "invalid", "this path answers GET only");
    response.headers.emplace_back("Allow", "GET, HEAD");
    return response;
  }
  auto found = files_.find(head.path());
  if (found == files_.end()) {
    const std::string_view path = head.path();
    const bool page = !path.starts_with("/assets/") && path.substr(path.rfind('/')).find('.') == std::string_view::npos;
    if (page) found = files_.find(std::string_view("/index.html"));
    if (page && found == files_.end()) return message_page(503, "Berth's pages are not installed", "The setting web.ui_dir names no folder with index.html.");
    if (!page) return message_page(404, "Not found", "There is nothing at this address.");
  }
  const File& file = found->second;
  Response response;
  response.content_type = file.content_type;
  response.headers.emplace_back("ETag", file.etag);
  response.headers.emplace_back("Cache-Control", found->first.starts_with("/assets/") ? "public, max-age=31536000, immutable" : "no-cache");
  if (!file.gzip.empty() || !file.brotli.empty()) response.headers.emplace_back("Vary", "Accept-Encoding");
  if (head.find(Name::if_none_match) == file.etag) {
    response.status = 304;
    response.content_type = {};
    return response;
  }
  const std::string_view encodings = head.find(Name::accept_encoding);
  if (!file.brotli.empty() && encodings.find("br") != std::string_view::npos) {
    response.headers.emplace_back("Content-Encoding", "br");
    response.body = file.brotli;
  } else if (!file.gzip.empty() && encodings.find("gzip") != std::string_view::npos) {
    response.headers.emplace_back("Content-Encoding", "gzip");
    response.body = file.gzip;
  } else {
    response.body = file.plain;
  }
  return response;
}

}  // namespace berth::web
