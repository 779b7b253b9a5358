// Newline-delimited JSON that goes on: /v1/events and /v1/tasks/{id}/logs?follow=1.
#include <google/protobuf/util/time_util.h>

#include "daemon/engine/control/log_tail.hpp"
#include "daemon/engine/control/router.hpp"
#include "daemon/engine/control/task_message.hpp"
#include "poold/v1/events.pb.h"

namespace poold::engine {
namespace {

using CallPtr = std::shared_ptr<Call>;
// A reader of events that is this far behind misses some, and is told how many.
constexpr std::size_t events_pending_max = 4 * 1024 * 1024;
constexpr std::size_t logs_pending_max = 256 * 1024;

v1::Event event_message(const Backend& backend, const StateChange& change, std::int64_t unix_ns) {
  v1::Event event;
  *event.mutable_time() = google::protobuf::util::TimeUtil::NanosecondsToTimestamp(unix_ns);
  event.set_id(to_string(change.id));
  event.set_pool(backend.state().pools[change.pool].settings.name);
  event.set_state(state_of(change.state));
  event.set_attempt(change.attempt);
  event.set_outcome(kind_of(change.outcome));
  return event;
}

void stream_events(Backend& backend, const CallPtr& call) {
  const auto stream = call->start_stream("application/x-ndjson");
  auto dropped = std::make_shared<std::uint32_t>(0);
  const auto listener = std::make_shared<std::function<void(const StateChange&)>>(
      [&backend, stream, dropped](const StateChange& change) {
        if (stream->pending() > events_pending_max) {
          ++*dropped;
          return;
        }
        v1::Event event = event_message(backend, change, backend.unix_ns(backend.now()));
        event.set_dropped(std::exchange(*dropped, 0));
        stream->write(to_json(event) + "\n");
      });
  backend.add_event_listener(listener);
  call->hold(listener);
}

class LogLines : public LogTail::Sink, public std::enable_shared_from_this<LogLines> {
 public:
  LogLines(Backend& backend, std::shared_ptr<TextStream> stream, const TaskId& id, LogTail::Output output)
      : stream_(std::move(stream)), tail_(std::make_shared<LogTail>(backend, id, *this, output)) {}

  void start() {
    stream_->on_drained([weak = weak_from_this()] {
      if (const auto self = weak.lock()) self->tail_->resume();
    });
    tail_->start(0, 0);
  }
  bool has_room() override { return stream_->pending() < logs_pending_max; }
  void on_piece(const AttemptLogReader::Piece& piece, std::uint32_t, std::uint64_t) override {
    v1::LogChunk chunk;
    fill_chunk(piece, chunk);
    stream_->write(to_json(chunk) + "\n");
  }
  void on_ended(const Record*) override { stream_->finish(); }

 private:
  std::shared_ptr<TextStream> stream_;
  std::shared_ptr<LogTail> tail_;
};

}  // namespace

void stream_logs(Backend& backend, const CallPtr& call, const std::string& text) {
  const auto id = parse_task_id(text);
  const Found found = id ? find_task(backend, *id) : Found{};
  if (!found.task() || !call->rights().may_see(*found.task()))
    return call->fail(Code::not_found, "id: there is no task " + quoted(text));
  const std::string follow = query_value(call->request().query, "follow");
  if (!follow.empty() && follow != "0" && follow != "1")
    return call->fail(Code::invalid_argument, "follow: 0 or 1");
  const auto lines =
      std::make_shared<LogLines>(backend, call->start_stream("application/x-ndjson"), *id,
                                 follow == "1" ? LogTail::Output::follow : LogTail::Output::as_it_is);
  call->hold(lines);
  lines->start();
}

void add_text_streams(Router& router) {
  Backend& backend = router.backend();
  router.alias("/v1/events", [&backend](const CallPtr& call) { stream_events(backend, call); });
}

}  // namespace poold::engine
