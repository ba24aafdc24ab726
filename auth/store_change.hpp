// A change of the store that answers a value. Used by auth/*.cpp only.
#pragma once
#include <boost/asio/awaitable.hpp>
#include <functional>
#include <memory>
#include <optional>

#include "base/store.hpp"

namespace berth::auth {

// As Store::write; `work` may run twice, the last answer counts.
template <class Answer>
boost::asio::awaitable<Result<Answer>> write_answer(Store& store, std::function<Result<Answer>(SQLite::Database&)> work) {
  auto answer = std::make_shared<std::optional<Answer>>();
  auto change = [answer, work = std::move(work)](SQLite::Database& db) -> Result<void> {
    Result<Answer> made = work(db);
    if (made.has_error()) return made.error();
    *answer = std::move(*made);
    return {};
  };
  auto done = co_await store.write(std::move(change));
  if (done.has_error()) co_return done.error();
  co_return std::move(**answer);
}

}  // namespace berth::auth
