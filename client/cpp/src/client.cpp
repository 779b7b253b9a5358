// Client: each call is one request in protobuf; what follows a task's output is a stream of its own.
#include "client/cpp/poold/client.hpp"

#include <poll.h>

#include <algorithm>

#include "client/cpp/src/connection.hpp"
#include "client/cpp/src/frame_stream.hpp"
#include "client/cpp/src/task_proto.hpp"
#include "common/endpoint.hpp"
#include "common/frame_message.hpp"
#include "poold/v1/stream.pb.h"

namespace poold {
namespace {

constexpr std::uint32_t page_size_max = 1000;
// The one task of a stream that follows one task.
constexpr std::uint64_t only_tag = 1;

void hand_over(const v1::LogChunk& chunk, const OutputSink& sink) {
  const auto source = chunk.stream() == v1::LogChunk::STDERR ? Output::Source::err : Output::Source::out;
  sink({source, chunk.data(), chunk.skipped()});
}

// Hands output over until the result of the only task.
Outcome read_until_result(FrameStream& frames, const OutputSink& sink) {
  v1::ServerFrame frame;
  frames.flush();
  for (;;) {
    while (const auto payload = frames.next()) {
      if (!parse_message(frame, *payload)) throw ProtocolError("the daemon sent a frame that cannot be read");
      if (frame.has_output() && sink) hand_over(frame.output().chunk(), sink);
      if (frame.has_result()) return from_proto(frame.result().outcome());
      if (frame.has_rejected())
        throw Error(parse_code(frame.rejected().code()).value_or(Code::unknown), frame.rejected().message());
      if (frame.has_error())
        throw ConnectionLost(parse_code(frame.error().code()).value_or(Code::unknown),
                             frame.error().message());
    }
    const auto read = frames.read_some();
    if (read == FrameStream::Read::closed)
      throw ConnectionLost(Code::unavailable, "the connection to the daemon broke before the task ended");
    if (read == FrameStream::Read::nothing) wait_for(frames.descriptor(), POLLIN, {});
  }
}

}  // namespace

struct Client::Inside {
  explicit Inside(ClientOptions chosen)
      : options(std::move(chosen)),
        connection(client_socket_path(options.socket), options.connect_timeout, options.answer_timeout) {}

  FrameStream open_stream(bool cancel_on_close) const {
    return FrameStream({connection.socket_path(), options.connect_timeout, cancel_on_close, {}});
  }

  v1::WaitResponse wait(v1::WaitRequest& request, std::optional<std::chrono::milliseconds> timeout) {
    auto answer_timeout = no_timeout;
    if (timeout) {
      to_proto(*timeout, *request.mutable_timeout());
      answer_timeout = *timeout + options.answer_timeout;
    }
    v1::WaitResponse response;
    connection.call("poold.v1.Tasks/Wait", request, response, answer_timeout);
    return response;
  }

  ClientOptions options;
  Connection connection;
};

Client::Client(ClientOptions options) : inside_(std::make_unique<Inside>(std::move(options))) {}
Client::Client(Client&&) noexcept = default;
Client& Client::operator=(Client&&) noexcept = default;
Client::~Client() = default;

const std::string& Client::socket() const { return inside_->connection.socket_path(); }

Submitted Client::submit(const TaskSpec& task) {
  const auto answer_timeout = task.waits_for_room() ? no_timeout : inside_->options.answer_timeout;
  const std::string answer = inside_->connection.call_bytes("poold.v1.Tasks/Submit", task.bytes(),
                                                            "application/proto", answer_timeout);
  v1::SubmitResponse response;
  if (!response.ParseFromString(answer)) throw ProtocolError("the answer to Submit cannot be read");
  return {response.id(), response.duplicate()};
}

std::vector<Submitted> Client::submit_batch(const std::vector<TaskSpec>& tasks) {
  v1::SubmitBatchRequest request;
  request.set_all_or_none(true);
  for (const TaskSpec& task : tasks)
    if (!parse_message(*request.add_tasks(), task.bytes())) throw ProtocolError("a task cannot be read");
  v1::SubmitBatchResponse response;
  inside_->connection.call("poold.v1.Tasks/SubmitBatch", request, response);
  std::vector<Submitted> submitted;
  for (const auto& entry : response.tasks()) submitted.push_back({entry.id(), entry.duplicate()});
  return submitted;
}

GroupInfo Client::wait_group(const std::string& name, std::optional<std::chrono::milliseconds> timeout) {
  v1::WaitRequest request;
  request.set_group(name);
  const v1::WaitResponse response = inside_->wait(request, timeout);
  return from_proto(response.group());
}

std::vector<GroupInfo> Client::groups(const std::vector<std::string>& names) {
  v1::ListGroupsRequest request;
  request.mutable_names()->Add(names.begin(), names.end());
  std::vector<GroupInfo> groups;
  v1::ListGroupsResponse response;
  do {
    request.set_page_token(response.next_page_token());
    inside_->connection.call("poold.v1.Tasks/ListGroups", request, response);
    for (const v1::Group& group : response.groups()) groups.push_back(from_proto(group));
  } while (!response.next_page_token().empty());
  return groups;
}

Outcome Client::run(const TaskSpec& task, const OutputSink& sink) {
  FrameStream frames = inside_->open_stream(true);
  if (sink) {
    v1::ClientFrame frame;
    v1::StreamSubmit& submit = *frame.mutable_submit();
    submit.set_tag(only_tag);
    submit.set_want_output(true);
    if (!parse_message(*submit.mutable_task(), task.bytes())) throw ProtocolError("the task cannot be read");
    frames.send(frame);
  } else {
    frames.send_submit(only_tag, task.bytes());
  }
  return read_until_result(frames, sink);
}

Value Client::call(const Function& function, const SubmitOptions& options) {
  Outcome outcome = call_outcome(function, options);
  if (!outcome.succeeded()) throw RemoteError(std::move(outcome));
  if (outcome.payload)
    throw Error(Code::invalid_argument, function.name + " returned bytes (" + outcome.payload->content_type +
                                            "), not a value: use call_outcome");
  return std::move(outcome.value);
}

TaskInfo Client::get(const std::string& id) {
  v1::GetTaskRequest request;
  request.set_id(id);
  v1::GetTaskResponse response;
  inside_->connection.call("poold.v1.Tasks/Get", request, response);
  return from_proto(response.task());
}

std::vector<TaskInfo> Client::list(const Selector& selector, std::size_t count_max) {
  std::vector<TaskInfo> tasks;
  if (count_max == 0) return tasks;  // a page size of 0 would mean the daemon's own
  v1::ListTasksRequest request;
  to_proto(selector, *request.mutable_selector());
  v1::ListTasksResponse response;
  do {
    request.set_page_size(
        static_cast<std::uint32_t>(std::min<std::size_t>(count_max - tasks.size(), page_size_max)));
    request.set_page_token(response.next_page_token());
    inside_->connection.call("poold.v1.Tasks/List", request, response);
    for (const v1::Task& task : response.tasks()) tasks.push_back(from_proto(task));
  } while (!response.next_page_token().empty() && tasks.size() < count_max);
  return tasks;
}

std::vector<TaskInfo> Client::wait(const std::vector<std::string>& ids,
                                   std::optional<std::chrono::milliseconds> timeout, bool any) {
  v1::WaitRequest request;
  request.mutable_ids()->Add(ids.begin(), ids.end());
  request.set_any(any);
  const v1::WaitResponse response = inside_->wait(request, timeout);
  std::vector<TaskInfo> tasks;
  for (const v1::Task& task : response.tasks()) tasks.push_back(from_proto(task));
  return tasks;
}

TaskInfo Client::wait(const std::string& id, std::optional<std::chrono::milliseconds> timeout) {
  std::vector<TaskInfo> tasks = wait(std::vector<std::string>{id}, timeout);
  if (tasks.empty()) throw ProtocolError("the answer to Wait names no task");
  return std::move(tasks.front());
}

void Client::cancel(const std::string& id) {
  v1::CancelRequest request;
  request.set_id(id);
  v1::CancelResponse response;
  inside_->connection.call("poold.v1.Tasks/Cancel", request, response);
}

std::vector<std::string> Client::cancel(const Selector& selector) {
  v1::CancelRequest request;
  to_proto(selector, *request.mutable_selector());
  std::vector<std::string> ids;
  v1::CancelResponse response;
  do {
    inside_->connection.call("poold.v1.Tasks/Cancel", request, response);
    ids.insert(ids.end(), response.ids().begin(), response.ids().end());
  } while (response.more());
  return ids;
}

void Client::signal(const std::string& id, int signal_number) {
  v1::SignalRequest request;
  request.set_id(id);
  request.set_signal(static_cast<std::uint32_t>(signal_number));
  v1::SignalResponse response;
  inside_->connection.call("poold.v1.Tasks/Signal", request, response);
}

void Client::logs(const std::string& id, const OutputSink& sink, std::uint32_t attempt) {
  v1::LogsRequest request;
  request.set_id(id);
  request.set_attempt(attempt);
  v1::LogsResponse response;
  do {
    request.set_offset(response.next_offset());
    // Stay with the attempt that the first piece came from.
    if (response.attempt() != 0) request.set_attempt(response.attempt());
    inside_->connection.call("poold.v1.Tasks/Logs", request, response);
    for (const v1::LogChunk& chunk : response.chunks()) hand_over(chunk, sink);
  } while (!response.complete() && response.chunks_size() > 0);
}

Outcome Client::follow(const std::string& id, const OutputSink& sink) {
  FrameStream frames = inside_->open_stream(false);
  v1::ClientFrame frame;
  v1::StreamFollow& follow = *frame.mutable_follow();
  follow.set_tag(only_tag);
  follow.set_id(id);
  follow.set_want_output(true);
  frames.send(frame);
  return read_until_result(frames, sink);
}

std::string Client::call_json(std::string_view method, std::string_view json) {
  return inside_->connection.call_json(method, json, inside_->options.answer_timeout);
}

}  // namespace poold
