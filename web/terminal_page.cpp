#include "web/terminal_page.hpp"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/deferred.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/experimental/parallel_group.hpp>

#include "web/terminal_view.hpp"

namespace berth::web {
namespace asio = boost::asio;
using nlohmann::json;

namespace {

// Ends with the process; holds nothing of the client.
asio::awaitable<void> watch_exit(std::weak_ptr<TerminalView> weak, std::shared_ptr<tunnels::Process> process) {
  const auto exit = co_await process->wait();
  const TerminalViewPtr page = weak.lock();
  if (!page) co_return;
  if (exit && exit->signal.empty()) page->exit = json{{"type", "exit"}, {"code", exit->code}};
  else if (exit) page->exit = json{{"type", "exit"}, {"signal", exit->signal}};
  else if (exit.error().kind == ErrorKind::conflict) page->close(kCloseNormal, exit.error().message.substr(0, 100));
  else page->close(kCloseGoingAway, exit.error().message.substr(0, 100));
  page->wake.cancel();
}

asio::awaitable<Result<std::shared_ptr<tunnels::AgentLink>>> running_workspace(LaneServer& lane, workspaces::WorkspaceId id) {
  auto link = co_await workspaces::link_if_running(lane.services().manager, lane.lane, std::move(id));
  if (link && !*link) co_return Error{ErrorKind::not_found, "the workspace does not run"};
  co_return link;
}

asio::awaitable<Result<std::shared_ptr<tunnels::AgentLink>>> start_workspace(LaneServer& lane, Connection& client, workspaces::WorkspaceId id) {
  const auto task = lane.starts.begin(id, false);
  std::size_t told = 0;
  while (!task->outcome()) {
    for (; told < task->lines().size(); ++told) {
      const std::string line = websocket_frame(Opcode::text, dump_json({{"type", "progress"}, {"line", task->lines()[told]}}));
      const auto sent = co_await client.stream.write(line);
      if (!sent) co_return sent.error();
    }
    co_await task->wait(told, std::chrono::seconds(2));
    if (lane.stopping() || client.stream.peer_hung_up()) co_return Error{ErrorKind::closed, "given up"};
  }
  lane.starts.told(id, false);
  if (!*task->outcome()) co_return task->outcome()->error();
  co_return (*task->outcome())->link;
}

asio::awaitable<Result<std::unique_ptr<tunnels::Process>>> open_terminal(LaneServer& lane, tunnels::AgentLink& link, TerminalWish wish) {
  if (!wish.id.empty()) {
    tunnels::AttachOptions options;
    options.id = wish.id;
    if (!wish.watch) options.size = wish.size;
    options.watch_only = wish.watch;
    options.from = wish.from;
    auto attached = co_await link.attach(std::move(options));
    co_return attached;
  }
  tunnels::ExecOptions options;
  options.env["COLORTERM"] = "truecolor";
  options.pty.emplace();
  options.pty->columns = wish.size.columns;
  options.pty->rows = wish.size.rows;
  options.pty->keep = lane.shared.options.keep_terminals;
  auto process = co_await link.exec(std::move(options));
  co_return process;
}

asio::awaitable<std::string> fail(Connection& client, Error error) {
  const std::string frames = websocket_frame(Opcode::text, dump_json({{"type", "error"}, {"kind", name_of(error.kind)}, {"message", error.message}})) +
                             websocket_close(kCloseInternal, "");
  (void)co_await client.stream.write(frames);
  co_return error.message;
}

json opened_message(const tunnels::Process& process, const TerminalWish& wish) {
  const auto view = process.view();
  const bool is_new = wish.id.empty();
  return {{"type", "opened"}, {"id", process.terminal()}, {"from", view.from}, {"columns", is_new ? wish.size.columns : view.size.columns},
          {"rows", is_new ? wish.size.rows : view.size.rows}, {"title", view.title}, {"restore", view.restore}, {"new", is_new}};
}

}  // namespace

asio::awaitable<std::string> serve_terminal_page(LaneServer& lane, Connection& client, TerminalWish wish, std::shared_ptr<TerminalEnd> end,
                                                 std::function<bool()> still_valid, std::shared_ptr<auth::LiveSession> live) {
  auto finding = wish.watch ? running_workspace(lane, wish.workspace) : start_workspace(lane, client, wish.workspace);
  auto link = co_await std::move(finding);
  std::string outcome;
  if (!link) {
    outcome = co_await fail(client, link.error());
    co_return outcome;
  }
  auto opened = co_await open_terminal(lane, **link, wish);
  if (!opened) {
    outcome = co_await fail(client, opened.error());
    co_return outcome;
  }
  std::shared_ptr<tunnels::Process> process = std::move(*opened);
  auto page = std::make_shared<TerminalView>(lane, client, process);
  page->watching = wish.watch;
  page->still_valid = still_valid;
  page->tell(opened_message(*process, wish));
  process->on_change([weak = std::weak_ptr<TerminalView>(page)](const tunnels::TerminalChange& change) {
    const TerminalViewPtr target = weak.lock();
    if (target && change.title) target->tell({{"type", "title"}, {"title", *change.title}});
    if (target && change.size) target->tell({{"type", "size"}, {"columns", change.size->columns}, {"rows", change.size->rows}});
  });
  end->act = [weak = std::weak_ptr<TerminalView>(page), still_valid] {
    const TerminalViewPtr target = weak.lock();
    if (target && still_valid()) target->cut(kCloseNormal, "the terminal was ended");
    else if (target) target->cut(kClosePolicy, "the login has ended");
  };
  if (end->happened) page->cut(kCloseNormal, "");
  asio::co_spawn(lane.executor(), watch_exit(page, process), asio::detached);
  ++lane.counters.websockets;
  auto in = asio::co_spawn(lane.executor(), read_terminal_page(page, live, client.take_buffered()), asio::deferred);
  auto out = asio::co_spawn(lane.executor(), write_terminal_page(page, live), asio::deferred);
  co_await asio::experimental::make_parallel_group(std::move(in), std::move(out)).async_wait(asio::experimental::wait_for_all(), asio::use_awaitable);
  --lane.counters.websockets;
  process->on_change(nullptr);
  end->act = nullptr;
  if (!wish.watch && (end->happened || !still_valid())) process->hang_up();
  boost::system::error_code ignored;
  page->input.close(ignored);
  page->output.close(ignored);
  co_return page->closing == kCloseNormal ? "closed" : "left";
}

}  // namespace berth::web
