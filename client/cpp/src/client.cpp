// Client: each call is one request in protobuf; what follows a task's output is a stream of its own.
#include "client/cpp/poold/client.hpp"

#include <poll.h>

#include <algorithm>
#include <utility>

#include "client/cpp/src/connection.hpp"
#include "client/cpp/src/frame_stream.hpp"
#include "client/cpp/src/reconnect.hpp"
#include "client/cpp/src/task_proto.hpp"
#include "common/endpoint.hpp"
#include "common/frame_message.hpp"
#include "poold/v1/stream.pb.h"

namespace poold {
namespace {

constexpr std::uint32_t page_size_max = 1000;
// The one task of a stream that follows one task.
constexpr std::uint64_t only_tag = 1;

constexpr std::string_view forgotten =
    " (the daemon was restarted meanwhile: a pool with durability: memory loses its tasks then)";

void hand_over(const v1::LogChunk& chunk, const OutputSink& sink) {
  const auto source = chunk.stream() == v1::LogChunk::STDERR ? Output::Source::err : Output::Source::out;
  sink({source, chunk.data(), chunk.skipped()});
}

template <class Call>
auto explained(const Call& call, std::string_view what_is_not_known) {
  try {
    return call();
  } catch (const ConnectionLost& error) {
    throw ConnectionLost(error.code(), error.what() + std::string(what_is_not_known));
  }
}

// One task over a stream, until its result; where the stream breaks, over another one.
class Following {
 public:
  // `request` is a submit or a follow with the only tag.
  Following(FrameStream::Options stream, std::chrono::milliseconds reconnect, v1::ClientFrame request)
      : stream_(std::move(stream)), outage_(reconnect), request_(std::move(request)) {
    if (request_.has_follow()) id_ = request_.follow().id();
  }

  Outcome to_end(const OutputSink& sink) {
    FrameStream frames(stream_);  // no daemon at all is told at once
    frames.send(request_);
    for (;;) {
      ConnectionLost lost(Code::unavailable, "the connection to the daemon broke before the task ended");
      try {
        if (auto outcome = read_until_lost(frames, sink)) return std::move(*outcome);
      } catch (const ConnectionLost& error) {
        lost = error;
      }
      frames = connect_again(lost);
    }
  }

 private:
  // Nothing if the connection broke first.
  std::optional<Outcome> read_until_lost(FrameStream& frames, const OutputSink& sink) {
    frames.flush();
    for (;;) {
      while (const auto payload = frames.next()) {
        heard_ = true;
        if (!parse_message(frame_, *payload))
          throw ProtocolError("the daemon sent a frame that cannot be read");
        if (frame_.has_output()) take_output(sink);
        if (frame_.has_accepted()) id_ = frame_.accepted().id();
        if (frame_.has_result()) return from_proto(frame_.result().outcome());
        if (frame_.has_rejected()) throw Error(code_named(frame_.rejected().code()), reason_of_refusal());
        if (frame_.has_error())
          throw ConnectionLost(code_named(frame_.error().code()), frame_.error().message());
      }
      const auto read = frames.read_some();
      if (read == FrameStream::Read::closed) return {};
      if (read == FrameStream::Read::nothing) wait_for(frames.descriptor(), POLLIN, {});
    }
  }

  static Code code_named(const std::string& name) { return parse_code(name).value_or(Code::unknown); }

  void take_output(const OutputSink& sink) {
    if (sink) hand_over(frame_.output().chunk(), sink);
    attempt_ = frame_.output().attempt();
    offset_ = frame_.output().next_offset();
  }

  std::string reason_of_refusal() const {
    const std::string& message = frame_.rejected().message();
    const bool lost = again_ && code_named(frame_.rejected().code()) == Code::not_found;
    return lost ? message + std::string(forgotten) : message;
  }

  FrameStream connect_again(const ConnectionLost& lost) {
    if (!outage_.allowed() || lost.code() != Code::unavailable) throw lost;
    if (id_.empty() && request_.submit().task().key().empty())
      throw ConnectionLost(Code::unavailable, std::string(lost.what()) + std::string(unknown_if_accepted));
    const auto now = std::chrono::steady_clock::now();
    if (std::exchange(heard_, false) || now - connected_at_ > Outage::try_timeout) outage_.begin();
    again_ = true;
    FrameStream frames = connect_within(outage_, stream_, lost.what());
    connected_at_ = std::chrono::steady_clock::now();
    frames.send(request_again());
    return frames;
  }

  v1::ClientFrame request_again() const {
    v1::ClientFrame request = request_;
    if (id_.empty()) {
      request.mutable_submit()->set_take_over(true);
      return request;
    }
    v1::StreamFollow& follow = *request.mutable_follow();
    if (request_.has_submit()) {
      follow.set_tag(only_tag);
      follow.set_id(id_);
      follow.set_want_output(request_.submit().want_output());
      follow.set_take_over(stream_.cancel_on_close);
    }
    if (attempt_ != 0) {
      follow.set_attempt(attempt_);
      follow.set_offset(offset_);
    }
    return request;
  }

  FrameStream::Options stream_;
  Outage outage_;
  v1::ClientFrame request_;
  v1::ServerFrame frame_;      // reused
  std::string id_;             // once it is known
  std::uint32_t attempt_ = 0;  // whose output was handed over last
  std::uint64_t offset_ = 0;   // where to go on in it
  std::chrono::steady_clock::time_point connected_at_{};
  bool heard_ = true;   // something has come over this connection
  bool again_ = false;  // there was one before
};

}  // namespace

struct Client::Inside {
  explicit Inside(ClientOptions chosen)
      : options(std::move(chosen)),
        connection(client_socket_path(options.socket), options.connect_timeout, options.answer_timeout) {}

  FrameStream::Options stream(bool cancel_on_close) const {
    return {connection.socket_path(), options.connect_timeout, cancel_on_close, {}};
  }

  // Makes a call, and makes it again where the connection broke: for those that change nothing, or that the
  // daemon knows again.
  template <class Call>
  auto repeat(const Call& call) {
    Outage outage(options.reconnect);
    bool lost = false;
    for (;;) {
      const auto asked_at = std::chrono::steady_clock::now();
      std::string reason;
      try {
        return call();
      } catch (const ConnectionLost& error) {
        if (!outage.allowed() || error.code() != Code::unavailable) throw;
        // One that had been waiting was lost anew; what breaks at once belongs to the same outage.
        if (!lost || std::chrono::steady_clock::now() - asked_at > Outage::try_timeout) outage.begin();
        lost = true;
        reason = error.what();
      } catch (const Unreachable& error) {
        if (!lost) throw;
        reason = error.what();
      } catch (const Error& error) {
        if (!lost || error.code() != Code::not_found) throw;
        throw Error(error.code(), error.what() + std::string(forgotten));
      }
      pause(outage, reason);
    }
  }

  void call_again(std::string_view method, const google::protobuf::MessageLite& request,
                  google::protobuf::MessageLite& response) {
    repeat([&] { connection.call(method, request, response); });
  }

  v1::WaitResponse wait(v1::WaitRequest& request, std::optional<std::chrono::milliseconds> timeout) {
    const Deadline deadline = timeout ? deadline_after(*timeout) : Deadline();
    return repeat([&] {
      auto answer_timeout = no_timeout;
      if (deadline) {
        const auto left = std::max(
            std::chrono::milliseconds(0),
            std::chrono::ceil<std::chrono::milliseconds>(*deadline - std::chrono::steady_clock::now()));
        to_proto(left, *request.mutable_timeout());
        answer_timeout = left + options.answer_timeout;
      }
      v1::WaitResponse response;
      connection.call("poold.v1.Tasks/Wait", request, response, answer_timeout);
      return response;
    });
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
  const auto call = [&] {
    return inside_->connection.call_bytes("poold.v1.Tasks/Submit", task.bytes(), "application/proto",
                                          answer_timeout);
  };
  const std::string answer =
      has_key(task.bytes()) ? inside_->repeat(call) : explained(call, unknown_if_accepted);
  v1::SubmitResponse response;
  if (!response.ParseFromString(answer)) throw ProtocolError("the answer to Submit cannot be read");
  return {response.id(), response.duplicate()};
}

std::vector<Submitted> Client::submit_batch(const std::vector<TaskSpec>& tasks) {
  v1::SubmitBatchRequest request;
  request.set_all_or_none(true);
  bool keyed = true;
  for (const TaskSpec& task : tasks) {
    keyed = keyed && has_key(task.bytes());
    if (!parse_message(*request.add_tasks(), task.bytes())) throw ProtocolError("a task cannot be read");
  }
  v1::SubmitBatchResponse response;
  const auto call = [&] { inside_->connection.call("poold.v1.Tasks/SubmitBatch", request, response); };
  keyed ? inside_->repeat(call) : explained(call, unknown_if_accepted);
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
    inside_->call_again("poold.v1.Tasks/ListGroups", request, response);
    for (const v1::Group& group : response.groups()) groups.push_back(from_proto(group));
  } while (!response.next_page_token().empty());
  return groups;
}

Outcome Client::run(const TaskSpec& task, const OutputSink& sink) {
  v1::ClientFrame frame;
  v1::StreamSubmit& submit = *frame.mutable_submit();
  submit.set_tag(only_tag);
  if (!parse_message(*submit.mutable_task(), task.bytes())) throw ProtocolError("the task cannot be read");
  submit.set_want_output(bool(sink));
  // By its id it is found again. A function's call is not made to wait for it.
  submit.set_want_accepted(sink || submit.task().has_command());
  return Following(inside_->stream(true), inside_->options.reconnect, std::move(frame)).to_end(sink);
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
  inside_->call_again("poold.v1.Tasks/Get", request, response);
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
    inside_->call_again("poold.v1.Tasks/List", request, response);
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
    inside_->call_again("poold.v1.Tasks/Logs", request, response);
    for (const v1::LogChunk& chunk : response.chunks()) hand_over(chunk, sink);
  } while (!response.complete() && response.chunks_size() > 0);
}

Outcome Client::follow(const std::string& id, const OutputSink& sink) {
  v1::ClientFrame frame;
  v1::StreamFollow& follow = *frame.mutable_follow();
  follow.set_tag(only_tag);
  follow.set_id(id);
  follow.set_want_output(true);
  return Following(inside_->stream(false), inside_->options.reconnect, std::move(frame)).to_end(sink);
}

std::string Client::call_json(std::string_view method, std::string_view json) {
  return inside_->connection.call_json(method, json, inside_->options.answer_timeout);
}

}  // namespace poold
