// Small steps on the disk that the store of environments is made of. Used by keeper/env_*.cpp only.
#pragma once
#include <filesystem>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/handles.hpp"
#include "base/result.hpp"
#include "keeper/homes.hpp"

namespace berth::keeper {

// How files in an owner's folder begin: unfinished ones, states, what is known of a prefix, and since when it is not wanted.
inline constexpr std::string_view kNew = ".new-", kState = ".state-", kMeta = ".meta-", kRetired = ".retired-";

Result<void> make_folder(const std::filesystem::path& path, mode_t mode, std::optional<Account> owner = std::nullopt);
Result<void> write_file(const std::filesystem::path& path, std::string_view content, mode_t mode = 0444);
std::vector<std::string> names_of(const std::filesystem::path& folder);
void erase(const std::filesystem::path& path);
// A folder below another, none of whose parts is a link: links in a sealed prefix were a user's choice.
FileDescriptor open_below(int folder, std::initializer_list<const char*> parts);
// A symlink in place of what was there, in one step.
Result<void> flip(const std::filesystem::path& link, const std::string& target);

}  // namespace berth::keeper
