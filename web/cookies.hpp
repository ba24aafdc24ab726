// The cookies of Berth. All are __Host- cookies (Secure, Path=/, no Domain), HttpOnly and SameSite=Lax. Cookies know no ports, so both origins
// of a host see all of them; the proxy keeps them from workspaces (proxy_head.hpp).
#pragma once
#include <chrono>
#include <string>
#include <string_view>

#include "workspaces/manager.hpp"

namespace berth::web {

inline constexpr std::string_view kSessionCookie = "__Host-berth";
inline constexpr std::string_view kCodeCookie = "__Host-berth-code";  // the browser's half of a login by code
// On an application's own origin: the login there, and what binds the way to it to this browser.
inline constexpr std::string_view kAppCookie = "__Host-berth-app", kAskCookie = "__Host-berth-ask";

// "__Host-berth-w-ada.main": one for each workspace, on the workspace origin.
inline std::string workspace_cookie_name(const workspaces::WorkspaceId& id) { return "__Host-berth-w-" + id.user + "." + id.name; }

// The Set-Cookie value; a lifetime of zero takes the cookie away.
inline std::string make_cookie(std::string_view name, std::string_view value, std::chrono::seconds lifetime) {
  return std::string(name) + "=" + std::string(value) + "; Path=/; Secure; HttpOnly; SameSite=Lax; Max-Age=" + std::to_string(lifetime.count());
}

}  // namespace berth::web
