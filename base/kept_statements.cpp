#include "base/kept_statements.hpp"

#include <utility>

#include "base/assert.hpp"

namespace berth {
namespace {

constexpr std::size_t kMostKept = 128;
thread_local KeptStatements* t_of_this_thread = nullptr;

}  // namespace

KeptStatements::KeptStatements(SQLite::Database& database) : database_(database) {
  BERTH_ASSERT(t_of_this_thread == nullptr);
  idle_.reserve(kMostKept);
  t_of_this_thread = this;
}

KeptStatements::~KeptStatements() {
  BERTH_ASSERT(t_of_this_thread == this);
  t_of_this_thread = nullptr;
}

KeptStatement::KeptStatement(SQLite::Database& database, std::string_view sql)
    : home_(t_of_this_thread != nullptr && &t_of_this_thread->database_ == &database ? t_of_this_thread : nullptr) {
  if (home_ != nullptr) {
    if (const auto found = home_->idle_.find(sql); found != home_->idle_.end()) {
      node_ = home_->idle_.extract(found);
      return;
    }
  }
  KeptStatements::Map made;
  std::string text(sql);
  SQLite::Statement statement(database, text);
  node_ = made.extract(made.emplace(std::move(text), std::move(statement)).first);
}

KeptStatement::~KeptStatement() {
  if (home_ == nullptr || home_->idle_.size() >= kMostKept) return;
  SQLite::Statement& statement = node_.mapped();
  statement.tryReset();
  statement.clearBindings();
  home_->idle_.insert(std::move(node_));
}

}  // namespace berth
