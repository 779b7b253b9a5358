#include "daemon/engine/control/stream_session.hpp"

#include <algorithm>
#include <boost/asio/post.hpp>
#include <random>
#include <vector>

#include "common/frame_message.hpp"
#include "common/version.hpp"
#include "daemon/engine/control/connection.hpp"
#include "daemon/engine/control/log_tail.hpp"
#include "daemon/engine/control/shared_payloads.hpp"
#include "daemon/engine/control/submission.hpp"
#include "daemon/engine/control/task_message.hpp"

namespace poold::engine {
namespace {

constexpr std::uint32_t stream_version = 1;
// An attachment reads its log only while less than this waits for the peer.
constexpr std::size_t room = 256 * 1024;

// The core's word stands, whatever the worker says of how its task ended.
bool decided_here(const Record& record) {
  return record.kind == core::OutcomeKind::cancelled || record.kind == core::OutcomeKind::timed_out;
}

}  // namespace

// One task that its client wants to see more of than the result.
class Attachment : public LogTail::Sink {
 public:
  Attachment(StreamSession& session, std::uint64_t tag, const TaskId& id, bool started, bool output)
      : session_(session), tag_(tag), id_(id), want_started_(started) {
    tail_ = std::make_shared<LogTail>(session.backend(), id, *this,
                                      output ? LogTail::Output::follow : LogTail::Output::none);
  }

  const TaskId& id() const { return id_; }
  void start(std::uint32_t attempt, std::uint64_t offset) { tail_->start(attempt, offset); }
  void resume() { tail_->resume(); }

  bool has_room() override { return session_.has_room(); }
  void on_started(const core::Task& task) override {
    if (!want_started_ || told_attempt_ == task.attempt) return;
    told_attempt_ = task.attempt;
    v1::ServerFrame frame;
    v1::StreamStarted& started = *frame.mutable_started();
    started.set_tag(tag_);
    started.set_attempt(task.attempt);
    started.mutable_placement()->set_slot(task.last_slot);
    started.mutable_placement()->set_generation(task.generation);
    started.mutable_placement()->set_pid(task.last_pid);
    session_.send(frame);
  }
  void on_piece(const AttemptLogReader::Piece& piece, std::uint32_t attempt,
                std::uint64_t next_offset) override {
    v1::ServerFrame frame;
    v1::StreamOutput& output = *frame.mutable_output();
    output.set_tag(tag_);
    output.set_attempt(attempt);
    output.set_next_offset(next_offset);
    fill_chunk(piece, *output.mutable_chunk());
    session_.send(frame);
  }
  void on_ended(const Record* record) override {
    session_.send_result(tag_, record);
    session_.detach(tag_);
  }

 private:
  StreamSession& session_;
  const std::uint64_t tag_;
  const TaskId id_;
  const bool want_started_;
  std::uint32_t told_attempt_ = 0;
  std::shared_ptr<LogTail> tail_;
};

StreamSession::StreamSession(Backend& backend, std::weak_ptr<Connection> connection, const Rights& rights)
    : backend_(backend),
      connection_(std::move(connection)),
      rights_(rights),
      tasks_(TagHome{std::random_device{}() | std::uint64_t{std::random_device{}()} << 32}) {}

StreamSession::~StreamSession() = default;

void StreamSession::start() {
  token_ = backend_.add_client(weak_from_this());
  const auto connection = connection_.lock();
  connection->set_drained([weak = weak_from_this()] {
    if (const auto self = weak.lock()) self->resume_attachments();
  });
}

std::string& StreamSession::out() {
  const auto connection = connection_.lock();
  connection->flush_later();
  return connection->out();
}

bool StreamSession::has_room() const {
  const auto connection = connection_.lock();
  return connection && connection->pending() < room;
}

void StreamSession::send(const v1::ServerFrame& frame) {
  if (!connection_.expired()) append_message(out(), frame);
}

void StreamSession::fail(const ConnectError& error) {
  failed_ = true;
  v1::ServerFrame frame;
  frame.mutable_error()->set_code(std::string(name(error.code)));
  frame.mutable_error()->set_message(error.message);
  send(frame);
}

bool StreamSession::handle(std::string_view payload) {
  if (greeted_ && rights_.allow(Need::submit)) {
    if (const auto plain = read_plain_submit(payload)) {
      handle_plain_submit(*plain);
      return !failed_;
    }
  }
  if (!parse_message(frame_, payload)) {
    fail({Code::invalid_argument, "not a poold.v1.ClientFrame (strings must be UTF-8)"});
    return false;
  }
  if (!greeted_ && frame_.frame_case() != v1::ClientFrame::kHello) {
    fail({Code::failed_precondition, "the first frame must be a hello"});
    return false;
  }
  switch (frame_.frame_case()) {
    case v1::ClientFrame::kHello:
      handle_hello(frame_.hello());
      break;
    case v1::ClientFrame::kSubmit:
      handle_submit(*frame_.mutable_submit());
      break;
    case v1::ClientFrame::kCancel:
      handle_cancel(frame_.cancel().tag());
      break;
    case v1::ClientFrame::kSignal:
      handle_signal(frame_.signal());
      break;
    case v1::ClientFrame::kFollow:
      handle_follow(frame_.follow());
      break;
    case v1::ClientFrame::FRAME_NOT_SET:
      fail({Code::invalid_argument, "a frame that this version does not know"});
      break;
  }
  return !failed_;
}

void StreamSession::handle_hello(const v1::StreamHello& hello) {
  if (greeted_) return fail({Code::failed_precondition, "a second hello"});
  if (std::ranges::find(hello.versions(), stream_version) == hello.versions().end())
    return fail({Code::unimplemented, "versions: none in common; this daemon speaks 1"});
  greeted_ = true;
  cancel_on_close_ = hello.cancel_on_close();
  takes_memory_ = hello.shared_memory();
  if (const auto connection = connection_.lock(); connection && takes_memory_)
    connection->receive_descriptors();
  v1::ServerFrame frame;
  frame.mutable_hello()->set_shared_memory(takes_memory_);
  frame.mutable_hello()->add_versions(stream_version);
  frame.mutable_hello()->set_agent("poold/" POOLD_VERSION);
  send(frame);
}

bool StreamSession::tag_in_use(std::uint64_t tag) const {
  return tasks_.find(tag) || attachments_.contains(tag);
}

void StreamSession::handle_plain_submit(const PlainSubmit& plain) {
  if (tag_in_use(plain.tag))
    return reject(plain.tag, {Code::invalid_argument, "tag: names an unfinished task already"});
  auto made = make_submission(backend_, plain, rights_.uid(), last_pool_);
  if (const auto* error = std::get_if<ConnectError>(&made)) return reject(plain.tag, *error);
  submit(std::get<core::Submit>(std::move(made)), plain.tag);
}

// Known by its tag from now on, so that a second frame of the same turn finds it in use.
void StreamSession::submit(core::Submit&& submission, std::uint64_t tag) {
  submission.client = token_;
  submission.tag = tag;
  const core::Sequence sequence = sequence_of(submission.id);
  const bool keyed = submission.key != nullptr;
  backend_.submit(std::move(submission));
  if (const core::Task* task = backend_.state().tasks.find(sequence))
    tasks_.insert(tag, task);
  else if (keyed)
    wishes_.try_emplace(tag);  // another task, perhaps: on_accepted() knows
}

void StreamSession::handle_submit(v1::StreamSubmit& submit) {
  // Taken whatever becomes of the submission, so that the next one finds its own.
  FileDescriptor memory;
  if (submit.task().function().payload().shared_size() > 0) {
    if (const auto connection = connection_.lock()) memory = connection->take_descriptor();
    if (!memory.valid())
      return fail({Code::invalid_argument, "a frame names shared memory that did not come with it"});
  }
  if (!rights_.allow(Need::submit))
    return reject(submit.tag(), {Code::permission_denied, "uid " + std::to_string(rights_.uid()) +
                                                              " may not submit: it takes role submit"});
  if (tag_in_use(submit.tag()))
    return reject(submit.tag(), {Code::invalid_argument, "tag: names an unfinished task already"});
  std::shared_ptr<TaskMemory> kept;
  if (memory.valid())
    if (const auto error =
            take_argument(backend_, *submit.mutable_task(), std::move(memory), rights_.uid(), kept))
      return reject(submit.tag(), *error);
  auto made = make_submission(backend_, submit.task(), rights_.uid(), rights_, std::move(kept));
  if (const auto* error = std::get_if<ConnectError>(&made)) return reject(submit.tag(), *error);
  if (submit.want_accepted() || submit.want_started() || submit.want_output() || submit.take_over())
    wishes_[submit.tag()] = {submit.want_accepted(), submit.want_started(), submit.want_output(),
                             submit.take_over()};
  auto& submission = std::get<core::Submit>(made);
  if (!has_to_wait(backend_, submit.task(), submission))
    return this->submit(std::move(submission), submit.tag());
  backend_.wait_for_room(submission.pool, submission.uid, weak_from_this());
  stalled_ = {std::move(submission), submit.tag()};
}

void StreamSession::on_room() {
  const auto connection = connection_.lock();
  if (!connection || !stalled_) return;
  // It was not read from, and may have gone.
  if (connection->peer_gone()) return connection->close();
  auto [submission, tag] = *std::exchange(stalled_, std::nullopt);
  submit(std::move(submission), tag);
  connection->go_on_reading();
}

void StreamSession::on_accepted(const core::Accepted& accepted) {
  Wishes wishes;
  if (const auto at = wishes_.find(accepted.tag); at != wishes_.end()) {
    wishes = at->second;
    wishes_.erase(at);
  }
  if (wishes.accepted) {
    v1::ServerFrame frame;
    frame.mutable_accepted()->set_tag(accepted.tag);
    frame.mutable_accepted()->set_id(to_string(accepted.id));
    frame.mutable_accepted()->set_duplicate(accepted.duplicate);
    send(frame);
  }
  if (wishes.cancel) backend_.post(core::Cancel{sequence_of(accepted.id)});
  if (accepted.duplicate) {
    // A key is its submitter's, so that this is the same user.
    if (wishes.take_over) taken_over_.insert(accepted.tag);
    attach(accepted.tag, accepted.id, wishes.started, wishes.output, 0, 0);
    if (!attachments_.contains(accepted.tag)) taken_over_.erase(accepted.tag);  // it is told already
    return;
  }
  const std::uint64_t key = accepted.tag;
  const core::Task* task = backend_.state().tasks.find(sequence_of(accepted.id));
  if (!task) return;  // ended within this turn: on_finished() is next
  if (wishes.started || wishes.output) {
    if (tasks_.find(key)) tasks_.erase(key);
    return attach(accepted.tag, accepted.id, wishes.started, wishes.output, 0, 0);
  }
  if (!tasks_.find(key)) tasks_.insert(key, task);
}

void StreamSession::on_refused(const core::Refused& refused) {
  wishes_.erase(refused.tag);
  reject(refused.tag, explain(backend_, refused));
}

void StreamSession::reject(std::uint64_t tag, const ConnectError& error) {
  v1::ServerFrame frame;
  frame.mutable_rejected()->set_tag(tag);
  frame.mutable_rejected()->set_code(std::string(name(error.code)));
  frame.mutable_rejected()->set_message(error.message);
  send(frame);
}

void StreamSession::on_finished(const Record& record) {
  if (!attachments_.empty() && attachments_.contains(record.task.tag))
    return;  // which tells when all output has been read
  const std::uint64_t key = record.task.tag;
  if (tasks_.find(key)) tasks_.erase(key);
  send_result(record.task.tag, &record);
}

void StreamSession::send_result(std::uint64_t tag, const Record* record) {
  if (connection_.expired()) return;
  if (!record)
    return reject(tag, {Code::not_found, "the task ended and was forgotten before its output had been read"});
  if (TaskMemory* memory = memory_of(record->task)) [[unlikely]]
    return send_result_with_memory(tag, *record, *memory);
  // The worker's own words where they are the whole truth; else they are amended.
  std::string amended;
  const bool as_reported = !record->body.empty() && !decided_here(*record);
  if (!as_reported) amended = outcome_of(*record).SerializeAsString();
  append_result_frame(tag, record->task.attempt, as_reported ? record->body : amended);
}

void StreamSession::append_result_frame(std::uint64_t tag, std::uint32_t attempt, std::string_view outcome) {
  if (!append_result(out(), tag, attempt, outcome))
    reject(tag, {Code::resource_exhausted, "the result does not fit into a frame of 16777216 bytes"});
}

void StreamSession::send_result_with_memory(std::uint64_t tag, const Record& record, TaskMemory& memory) {
  v1::Outcome outcome = outcome_of(record);
  const std::uint64_t size = outcome.payload().shared_size();
  // The submitter's copy is the last; others may look before.
  const bool own = record.task.client == token_ || taken_over_.contains(tag);
  const auto result = own ? std::exchange(memory.result, nullptr) : memory.result;
  if (size > 0 && decided_here(record)) {
    outcome.clear_payload();
  } else if (size > 0) {
    if (!result) return reject(tag, memory_complaint(size, true));
    if (takes_memory_)
      connection_.lock()->send_beside({result, &result->memory()});
    else if (!copy_payload(result->memory(), *outcome.mutable_payload()))
      return reject(tag, memory_complaint(size, false));
  }
  append_result_frame(tag, record.task.attempt, outcome.SerializeAsString());
}

void StreamSession::attach(std::uint64_t tag, const TaskId& id, bool started, bool output,
                           std::uint32_t attempt, std::uint64_t offset) {
  if (!find_task(backend_, id).task())
    return reject(tag, {Code::not_found, "the task is not retained any longer"});
  const auto attachment = std::make_shared<Attachment>(*this, tag, id, started, output);
  attachments_[tag] = attachment;
  attachment->start(attempt, offset);
}

void StreamSession::detach(std::uint64_t tag) {
  const auto at = attachments_.find(tag);
  if (at == attachments_.end()) return;
  // Called from inside the attachment: it must outlive this call.
  boost::asio::post(backend_.loop(), [kept = std::move(at->second)] {});
  taken_over_.erase(tag);
  attachments_.erase(at);
}

void StreamSession::resume_attachments() {
  std::vector<std::shared_ptr<Attachment>> all;
  for (const auto& [tag, attachment] : attachments_) all.push_back(attachment);
  for (const auto& attachment : all) attachment->resume();
}

// A task that has ended is out of the table before this client is told, after a commit perhaps, and its place
// may be another's by then.
bool StreamSession::is_mine(const core::Task& task, std::uint64_t tag) const {
  return task.id.low != 0 && task.client == token_ && task.tag == tag;
}

core::Sequence StreamSession::find(std::uint64_t tag) const {
  if (const core::Task* task = tasks_.find(tag)) return is_mine(*task, tag) ? task->sequence() : 0;
  const auto at = attachments_.find(tag);
  return at == attachments_.end() ? 0 : sequence_of(at->second->id());
}

// The same, unless the task is one that this client only looks at.
core::Sequence StreamSession::find_own(std::uint64_t tag) {
  const core::Sequence sequence = find(tag);
  const core::Task* task = backend_.state().tasks.find(sequence);
  if (!task || rights_.may_change(*task)) return sequence;
  fail({Code::permission_denied, "the task is another user's; to change it takes role operate"});
  return 0;
}

// A tag that is not there has ended already, as it may have while the frame was on its way.
void StreamSession::handle_cancel(std::uint64_t tag) {
  if (const core::Sequence task = find_own(tag)) return backend_.post(core::Cancel{task});
  if (const auto at = wishes_.find(tag); at != wishes_.end()) at->second.cancel = true;
}

void StreamSession::handle_signal(const v1::StreamSignal& signal) {
  if (signal.signal() < 1 || signal.signal() > 64) return fail({Code::invalid_argument, "signal: 1 to 64"});
  if (const core::Sequence task = find_own(signal.tag()))
    backend_.post(core::SignalTask{task, static_cast<int>(signal.signal())});
}

void StreamSession::handle_follow(const v1::StreamFollow& follow) {
  if (tag_in_use(follow.tag()))
    return reject(follow.tag(), {Code::invalid_argument, "tag: names an unfinished task already"});
  const auto id = parse_task_id(follow.id());
  const core::Task* task = id ? find_task(backend_, *id).task() : nullptr;
  if (!task || !rights_.may_see(*task))
    return reject(follow.tag(), {Code::not_found, "id: there is no task " + quoted(follow.id())});
  if (follow.take_over()) {
    if (!rights_.may_change(*task))
      return reject(follow.tag(), {Code::permission_denied,
                                   "take_over: the task is another user's; that takes role operate"});
    taken_over_.insert(follow.tag());
  }
  attach(follow.tag(), *id, follow.want_started(), follow.want_output(), follow.attempt(), follow.offset());
}

void StreamSession::close() {
  backend_.remove_client(token_);
  if (cancel_on_close_) {
    backend_.memory_ledger().note_gone(token_);
    std::vector<core::Sequence> unfinished;
    tasks_.each([&](const core::Task& task) {
      if (is_mine(task, task.tag)) unfinished.push_back(task.sequence());
    });
    for (const auto& [tag, attachment] : attachments_) {
      // Others' tasks that were only looked at go on.
      const core::Task* task = backend_.state().tasks.find(sequence_of(attachment->id()));
      if (task && (task->client == token_ || taken_over_.contains(tag)))
        unfinished.push_back(task->sequence());
    }
    for (const core::Sequence task : unfinished) backend_.post(core::Cancel{task});
  }
  attachments_.clear();
}

}  // namespace poold::engine
