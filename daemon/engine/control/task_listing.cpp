#include "daemon/engine/control/task_listing.hpp"

#include <algorithm>
#include <charconv>

#include "daemon/engine/control/task_message.hpp"

namespace poold::engine {
namespace {

constexpr std::uint32_t page_default = 100, page_max = 1000;
// Up to so many live tasks are gathered and sorted; that takes well under a millisecond. More are walked by
// number.
constexpr std::size_t gather_max = 20'000;
// So many numbers are looked up for one page, hits or not, before the loop serves others. The page then is
// shorter.
constexpr std::uint32_t probes_max = 20'000;

class Page {
 public:
  Page(const Backend& backend, const Rights& rights, const v1::Selector& selector, std::uint32_t size)
      : backend_(backend), filter_(backend, selector), size_(size) {
    if (!rights.sees_everything()) filter_.only_of(rights.uid());
  }

  const TaskFilter& filter() const { return filter_; }
  bool full() const { return static_cast<std::uint32_t>(response_.tasks_size()) == size_; }
  void offer(const Found& found) {
    if (found.task() && filter_.matches(*found.task())) fill_task(backend_, found, *response_.add_tasks());
  }
  // There may be more, below this number.
  void go_on_below(core::Sequence sequence) { response_.set_next_page_token(std::to_string(sequence)); }
  v1::ListTasksResponse take() { return std::move(response_); }

 private:
  const Backend& backend_;
  TaskFilter filter_;
  std::uint32_t size_;
  v1::ListTasksResponse response_;
};

void gather_live(const Backend& backend, core::Sequence below, Page& page) {
  std::vector<core::Sequence> sequences;
  backend.state().tasks.each([&](const core::Task& task) {
    if (task.sequence() < below && page.filter().matches(task)) sequences.push_back(task.sequence());
    return true;
  });
  std::ranges::sort(sequences, std::greater<>());
  for (const core::Sequence sequence : sequences) {
    if (page.full()) return page.go_on_below(below);
    page.offer(find_task(backend, sequence));
    below = sequence;
  }
}

void walk(const Backend& backend, core::Sequence below, Page& page) {
  for (std::uint32_t probe = 0; below > 1; ++probe) {
    if (page.full() || probe == probes_max) return page.go_on_below(below);
    page.offer(find_task(backend, --below));
  }
}

}  // namespace

std::variant<v1::ListTasksResponse, ConnectError> list_tasks(const Backend& backend, const Rights& rights,
                                                             const v1::ListTasksRequest& request) {
  if (request.page_size() > page_max) return ConnectError{Code::invalid_argument, "pageSize: more than 1000"};
  if (auto error = complaint_about(backend, request.selector())) return std::move(*error);
  core::Sequence below = backend.sequence_end();
  if (const std::string& token = request.page_token(); !token.empty()) {
    core::Sequence value = 0;
    const auto [end, error] = std::from_chars(token.data(), token.data() + token.size(), value);
    if (error != std::errc() || end != token.data() + token.size())
      return ConnectError{Code::invalid_argument, "pageToken: not from an earlier answer"};
    below = std::min(below, value);
  }
  Page page(backend, rights, request.selector(), request.page_size() ? request.page_size() : page_default);
  if (page.filter().live_only() && backend.state().tasks.size() <= gather_max) {
    gather_live(backend, below, page);
  } else {
    walk(backend, below, page);
  }
  return page.take();
}

}  // namespace poold::engine
