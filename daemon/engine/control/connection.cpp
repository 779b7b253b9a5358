#include "daemon/engine/control/connection.hpp"

#include <boost/asio/post.hpp>
#include <utility>

#include "daemon/engine/control/router.hpp"
#include "daemon/engine/control/stream_session.hpp"

namespace poold::engine {
namespace {

// So much is read before other peers get their turn.
constexpr std::size_t read_share = 256 * 1024;
// So much of the next requests is read while one is being answered.
constexpr std::size_t pipelined_max = 64 * 1024;

}  // namespace

Connection::Connection(Backend& backend, Router& router, int socket, Peer peer, Closed closed)
    : backend_(backend),
      router_(router),
      number_(router.next_connection()),
      peer_(std::move(peer)),
      closed_(std::move(closed)),
      channel_(std::make_shared<ByteChannel>(backend.loop(), socket)),
      deadline_(backend.loop()) {}

Connection::~Connection() = default;

void Connection::start() {
  attach();
  want_read();
}

void Connection::attach() { channel_->set_owner(shared_from_this()); }

void Connection::close() {
  if (mode_ == Mode::closed) return;
  mode_ = Mode::closed;
  const auto self = shared_from_this();
  deadline_.cancel();
  held_.reset();
  drained_ = nullptr;
  if (session_) session_->close();
  session_.reset();
  const bool unread = reset_ || channel_->pending() > 0;
  channel_->close();
  closed_(*this);
  for (const auto& belonging : std::exchange(belongings_, {})) belonging->on_gone(unread);
}

void Connection::on_broken() {
  reset_ = true;
  close();
}

void Connection::want_read() {
  const bool full = channel_->pending() >= output_pause;
  const bool enough = busy_ && http_.rest().size() >= pipelined_max;
  if (mode_ == Mode::closed || mode_ == Mode::closing || at_end_ || full || enough || stalled()) return;
  channel_->want_read();
}

bool Connection::read_some() {
  for (std::size_t taken = 0; taken < read_share;) {
    const auto space = mode_ == Mode::frames ? frames_.prepare() : http_.prepare();
    const auto result = channel_->read(space);
    switch (result.status) {
      case ByteChannel::ReadStatus::bytes:
        if (mode_ == Mode::text) return true;  // nothing is expected; what comes is ignored
        mode_ == Mode::frames ? frames_.commit(result.count) : http_.commit(result.count);
        taken += result.count;
        if (mode_ == Mode::frames) handle_frames();
        if (mode_ == Mode::http) handle_http();
        if (mode_ == Mode::closed || mode_ == Mode::closing) return false;
        if (stalled()) return true;
        if (result.count < space.size() || channel_->pending() >= output_pause) return true;
        if (busy_ && http_.rest().size() >= pipelined_max) return true;
        break;
      case ByteChannel::ReadStatus::would_block:
        return true;
      case ByteChannel::ReadStatus::end:
        at_end_ = true;
        return false;
      case ByteChannel::ReadStatus::failed:
        // A Unix socket whose peer closed it with unread bytes says so, once, in place of the end.
        reset_ = true;
        return false;
    }
  }
  return true;
}

void Connection::on_readable() {
  const auto self = shared_from_this();
  backend_.now();
  if (read_some()) return want_read();
  if (mode_ == Mode::closing) return;
  // A peer that has said all it wants may still wait for its answer; one that is gone altogether does not.
  if (at_end_ && mode_ == Mode::http && !channel_->peer_gone())
    return busy_ ? (void)(keep_alive_ = false) : close_after_flush();
  close();
}

void Connection::handle_http() {
  while (!busy_ && mode_ == Mode::http) {
    HttpResult result = http_.next();
    if (auto* incomplete = std::get_if<HttpIncomplete>(&result)) {
      if (incomplete->wants_continue) {
        out() += http_continue;
        flush_later();
      }
      if (incomplete->in_header != reading_header_ || incomplete->in_body != reading_body_) clear_deadline();
      reading_header_ = incomplete->in_header;
      reading_body_ = incomplete->in_body;
      if (reading_header_) set_deadline(header_time_max);
      if (reading_body_) set_deadline(message_time_max);
      return;
    }
    clear_deadline();
    reading_header_ = reading_body_ = false;
    if (auto* error = std::get_if<HttpError>(&result)) {
      const Code code = error->status == 400 ? Code::invalid_argument : Code::resource_exhausted;
      const std::string body = error_body({code, error->message});
      append_response(out(), {error->status, "application/json", body, false});
      return close_after_flush();
    }
    auto& request = std::get<HttpRequest>(result);
    keep_alive_ = request.keep_alive;
    busy_ = true;
    for (const auto& belonging : belongings_) belonging->on_next_request();
    router_.route(std::make_shared<Call>(weak_from_this(), peer_, backend_.access(), std::move(request)));
  }
}

bool Connection::owes() const {
  // Who waits for a task, or for its next frame, gets the end of the connection as an answer.
  return mode_ == Mode::http && !busy_ && (!answered_ || channel_->has_input());
}

void Connection::finish_request(std::chrono::milliseconds patience) {
  const auto self = shared_from_this();
  if (in_request() && channel_->has_input(patience)) on_readable();
}

std::optional<FileDescriptor> Connection::hand_over() {
  const bool between =
      mode_ == Mode::http && !busy_ && !in_request() && !at_end_ && !reset_ && http_.rest().empty();
  if (!between || channel_->pending() > 0 || !belongings_.empty()) return std::nullopt;
  FileDescriptor socket = channel_->duplicate();
  if (!socket.valid()) return std::nullopt;
  return socket;
}

void Connection::answer(const HttpResponse& response) {
  if (mode_ != Mode::http || !busy_) return;
  answered_ = true;
  HttpResponse final = response;
  final.keep_alive = response.keep_alive && keep_alive_;
  append_response(out(), final);
  held_.reset();
  busy_ = false;
  if (!final.keep_alive) return close_after_flush();
  flush_later();
  // The next request may be here already. Not from inside the one that was just answered: its handler is
  // still running.
  if (http_.rest().empty()) return want_read();
  boost::asio::post(backend_.loop(), [self = shared_from_this()] {
    if (self->mode_ != Mode::http || self->busy_) return;
    self->backend_.now();
    self->handle_http();
    self->want_read();
  });
}

void Connection::start_stream(std::string_view content_type) {
  mode_ = Mode::text;
  append_chunked_head(out(), content_type);
  flush_later();
}

void Connection::finish_stream() {
  if (mode_ != Mode::text) return;
  finish_chunks(out());
  close_after_flush();
}

void Connection::upgrade() {
  mode_ = Mode::frames;
  busy_ = false;
  out() += http_switching;
  flush_later();
  session_ = std::make_shared<StreamSession>(backend_, weak_from_this(), Rights(backend_.access(), peer_));
  session_->start();
  // What came behind the request's header is frames already.
  frames_.feed(http_.rest());
  handle_frames();
}

bool Connection::stalled() const { return session_ && session_->stalled(); }

void Connection::go_on_reading() {
  if (mode_ != Mode::frames) return;
  const auto self = shared_from_this();
  handle_frames();
  want_read();
}

void Connection::handle_frames() {
  while (!stalled()) {
    if (pending() >= output_max) {
      session_->fail({Code::resource_exhausted, "the peer does not read its results"});
      return close();
    }
    const FrameResult result = frames_.next();
    if (std::holds_alternative<FrameIncomplete>(result)) break;
    if (const auto* error = std::get_if<FrameError>(&result)) {
      session_->fail({Code::invalid_argument, std::string(describe(*error))});
      return close_after_flush();
    }
    clear_deadline();
    if (!session_->handle(std::get<Frame>(result).payload)) return close_after_flush();
  }
  if (!stalled() && frames_.partial()) set_deadline(message_time_max);
}

void Connection::flush_later() {
  if (std::exchange(flush_pending_, true)) return;
  backend_.flush_at_end_of_turn(shared_from_this());
}

void Connection::flush() {
  flush_pending_ = false;
  if (mode_ == Mode::closed) return;
  channel_->flush();
  if (mode_ != Mode::closed && channel_->pending() >= output_max) close();
}

void Connection::on_drained() {
  if (mode_ == Mode::closing) return close();
  if (drained_) drained_();
  want_read();
}

void Connection::close_after_flush() {
  if (mode_ == Mode::closed || mode_ == Mode::closing) return;
  mode_ = Mode::closing;
  if (session_) session_->close();
  session_.reset();
  held_.reset();
  // A peer that does not take its last answer is not waited for longer than one that does not finish its
  // request.
  set_deadline(message_time_max);
  flush_later();
}

void Connection::refuse(const ConnectError& error) {
  const std::string body = error_body(error);
  append_response(out(), {http_status(error.code), "application/json", body, false});
  close_after_flush();
}

void Connection::set_deadline(std::chrono::seconds limit) {
  if (deadline_at_ != core::Time::max()) return;
  deadline_at_ = backend_.now() + limit;
  if (deadline_at_ < armed_for_) arm_deadline();
}

void Connection::arm_deadline() {
  armed_for_ = deadline_at_;
  deadline_.expires_after(deadline_at_ - backend_.now());
  deadline_.async_wait([weak = weak_from_this()](const boost::system::error_code& error) {
    const auto self = weak.lock();
    if (error || !self || self->mode_ == Mode::closed) return;
    self->armed_for_ = core::Time::max();
    if (self->deadline_at_ == core::Time::max()) return;
    if (self->backend_.now() < self->deadline_at_) return self->arm_deadline();
    self->expire();
  });
}

void Connection::expire() {
  clear_deadline();
  if (mode_ == Mode::frames) {
    session_->fail({Code::deadline_exceeded, "a frame was not complete within 30 s"});
    return close_after_flush();
  }
  if (mode_ != Mode::http) return close();
  const std::string_view what =
      reading_header_ ? "a header was not complete within 5 s" : "a body was not complete within 30 s";
  const std::string body = error_body({Code::deadline_exceeded, std::string(what)});
  append_response(out(), {408, "application/json", body, false});
  close_after_flush();
}

Call::Call(std::weak_ptr<Connection> connection, Peer peer, const Access& access, HttpRequest request)
    : connection_(std::move(connection)),
      peer_(std::move(peer)),
      rights_(access, peer_),
      request_(std::move(request)) {}

void Call::reply(const google::protobuf::Message& message) {
  reply_text(200, content_type(format_), encode(format_, message));
}

void Call::fail(const ConnectError& error) {
  reply_text(http_status(error.code), "application/json", error_body(error));
}

void Call::reply_text(int status, std::string_view type, std::string_view body, std::string_view allow) {
  if (const auto connection = connection_.lock()) connection->answer({status, type, body, true, allow});
}

void Call::hold(std::shared_ptr<void> attachment) {
  if (const auto connection = connection_.lock()) connection->hold(std::move(attachment));
}

void Call::keep(std::shared_ptr<Belonging> belonging) {
  if (const auto connection = connection_.lock()) connection->keep(std::move(belonging));
}

std::uint64_t Call::connection_number() const {
  const auto connection = connection_.lock();
  return connection ? connection->number() : 0;
}

std::shared_ptr<TextStream> Call::start_stream(std::string_view type) {
  if (const auto connection = connection_.lock()) connection->start_stream(type);
  return std::make_shared<TextStream>(connection_);
}

void Call::upgrade() {
  if (const auto connection = connection_.lock()) connection->upgrade();
}

bool TextStream::write(std::string_view text) {
  const auto connection = connection_.lock();
  if (!connection) return false;
  append_chunk(connection->out(), text);
  connection->flush_later();
  return true;
}

std::size_t TextStream::pending() const {
  const auto connection = connection_.lock();
  return connection ? connection->pending() : 0;
}

void TextStream::on_drained(std::function<void()> drained) {
  if (const auto connection = connection_.lock()) connection->set_drained(std::move(drained));
}

void TextStream::finish() {
  if (const auto connection = connection_.lock()) connection->finish_stream();
}

}  // namespace poold::engine
