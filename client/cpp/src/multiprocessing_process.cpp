// Process: a task with a process of its own.
#include <stdexcept>

#include "client/cpp/src/lines.hpp"
#include "client/cpp/src/task_proto.hpp"
#include "poold/v1/processes.pb.h"

namespace poold::multiprocessing {

class Process::Inside {
 public:
  Inside(TaskSpec task, ProcessOptions chosen)
      : spec(std::move(task)), options(std::move(chosen)), lines(options.socket) {}

  TaskSpec spec;
  ProcessOptions options;
  detail::Lines lines;
  v1::Process process;
};

namespace {

SubmitOptions submit_options(const ProcessOptions& options) {
  SubmitOptions submit;
  submit.pool = options.pool;
  submit.name = options.name;
  return submit;
}

}  // namespace

Process::Process(Function target, ProcessOptions options)
    : inside_(std::make_unique<Inside>(TaskSpec(target, submit_options(options)), options)) {}
Process::Process(Command target, ProcessOptions options)
    : inside_(std::make_unique<Inside>(TaskSpec(target, submit_options(options)), options)) {}
Process::~Process() = default;
Process::Process(Process&&) noexcept = default;
Process& Process::operator=(Process&&) noexcept = default;

void Process::start() {
  if (!id().empty()) throw std::logic_error("a process is started once");
  v1::StartProcessRequest request;
  const std::string_view bytes = inside_->spec.bytes();
  request.mutable_task()->ParseFromArray(bytes.data(), static_cast<int>(bytes.size()));
  request.set_daemon(inside_->options.daemon);
  v1::StartProcessResponse response;
  inside_->lines.call("poold.v1.Processes/Start", request, response, std::nullopt);
  inside_->process = response.process();
}

bool Process::join(Timeout timeout) {
  if (id().empty()) throw std::logic_error("a process is joined after its start");
  if (inside_->process.has_exit_code()) return true;
  v1::JoinProcessRequest request;
  request.set_id(id());
  if (timeout) to_proto(*timeout, *request.mutable_timeout());
  v1::JoinProcessResponse response;
  inside_->lines.call("poold.v1.Processes/Join", request, response, timeout);
  inside_->process = response.process();
  return inside_->process.has_exit_code();
}

bool Process::is_alive() { return !id().empty() && !join(std::chrono::milliseconds(0)); }

void Process::signal(int number) {
  v1::KillProcessRequest request;
  request.set_id(id());
  request.set_signal(static_cast<std::uint32_t>(number));
  v1::KillProcessResponse response;
  try {
    inside_->lines.call("poold.v1.Processes/Kill", request, response);
  } catch (const Error& error) {
    if (error.code() != Code::failed_precondition) throw;
  }
}

const std::string& Process::id() const { return inside_->process.id(); }
const std::string& Process::name() const {
  return inside_->process.name().empty() ? inside_->options.name : inside_->process.name();
}
pid_t Process::pid() const { return inside_->process.pid(); }

std::optional<int> Process::exit_code() {
  if (is_alive() || id().empty()) return std::nullopt;
  return inside_->process.exit_code();
}

}  // namespace poold::multiprocessing
