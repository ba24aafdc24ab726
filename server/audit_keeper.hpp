// What goes on beside the audit trail while berthd runs: retention, and copies to the machine's log, until `ended`.
#pragma once
#include <atomic>
#include <boost/asio/awaitable.hpp>

#include "auth/audit.hpp"
#include "base/store.hpp"
#include "config/settings.hpp"

namespace berth::server {

// Forgets rows that are older than `audit.keep`, at start and every hour. Returns at once when they are kept for ever.
boost::asio::awaitable<void> keep_audit_short(auth::Audit& audit, const Clock& clock, const Settings::Audit& settings, const std::atomic<bool>& ended);
// Sends each new row to where `audit.copy_to` says, within a second. Returns at once when that is nowhere.
boost::asio::awaitable<void> copy_audit(auth::Audit& audit, Store& store, const Settings::Audit& settings, const std::atomic<bool>& ended);

}  // namespace berth::server
