#include "client/cpp/src/connection.hpp"

#include <poll.h>

#include <array>
#include <utility>

#include "client/cpp/poold/error.hpp"
#include "client/cpp/poold/value.hpp"
#include "common/version.hpp"

namespace poold {
namespace {

using std::chrono::milliseconds;

Code code_of_status(int status) {
  switch (status) {
    case 400:
      return Code::internal;
    case 401:
      return Code::unauthenticated;
    case 403:
      return Code::permission_denied;
    case 404:
      return Code::unimplemented;
    case 413:
      return Code::resource_exhausted;
    case 429:
    case 502:
    case 503:
    case 504:
      return Code::unavailable;
    default:
      return Code::unknown;  // as Connect's specification has it for every other status
  }
}

std::string text_at(const Value::Map& map, const char* key) {
  const auto found = map.find(key);
  if (found == map.end() || found->second.kind() != Value::Kind::string) return {};
  return found->second.as_string();
}

}  // namespace

void throw_answer(int status, std::string_view body) {
  try {
    const Value answer = Value::from_json(body);
    if (answer.kind() == Value::Kind::map) {
      if (const auto code = parse_code(text_at(answer.as_map(), "code")))
        throw Error(*code, text_at(answer.as_map(), "message"));
    }
  } catch (const std::invalid_argument&) {
    // Not JSON: somebody else's error page, told by its status.
  }
  throw Error(code_of_status(status), "the daemon answered with HTTP status " + std::to_string(status));
}

Connection::Connection(std::string socket_path, milliseconds connect_timeout, milliseconds answer_timeout)
    : socket_path_(std::move(socket_path)),
      connect_timeout_(connect_timeout),
      answer_timeout_(answer_timeout) {}

// A connection that the daemon has closed since the last call (a new engine, an idle limit) is replaced
// before anything is sent, so that no call has to be repeated.
void Connection::connect_if_needed() {
  if (socket_.valid() && wait_for(socket_.get(), POLLIN, deadline_after(milliseconds(0))) != 0)
    socket_.reset();
  if (!socket_.valid()) socket_ = connect_to(socket_path_, connect_timeout_);
}

void Connection::call(std::string_view method, const google::protobuf::MessageLite& request,
                      google::protobuf::MessageLite& response) {
  call(method, request, response, answer_timeout_);
}

void Connection::call(std::string_view method, const google::protobuf::MessageLite& request,
                      google::protobuf::MessageLite& response, milliseconds answer_timeout) {
  const std::string body =
      call_bytes(method, request.SerializeAsString(), "application/proto", answer_timeout);
  if (!response.ParseFromString(body))
    throw ProtocolError("the answer to " + std::string(method) + " cannot be read");
}

std::string Connection::call_json(std::string_view method, std::string_view json,
                                  milliseconds answer_timeout) {
  return call_bytes(method, json, "application/json", answer_timeout);
}

std::string Connection::call_bytes(std::string_view method, std::string_view request,
                                   std::string_view content_type, milliseconds answer_timeout) {
  std::string head;
  head.reserve(256);
  head.append("POST /").append(method).append(
      " HTTP/1.1\r\nHost: poold\r\nUser-Agent: libpoold/" POOLD_VERSION);
  head.append("\r\nConnect-Protocol-Version: 1\r\nContent-Type: ").append(content_type);
  head.append("\r\nContent-Length: ").append(std::to_string(request.size())).append("\r\n\r\n");
  HttpReader reader;
  exchange(head, request, reader, deadline_after(answer_timeout));
  if (reader.status() != 200) throw_answer(reader.status(), reader.body());
  if (!reader.content_type().starts_with(content_type))
    throw ProtocolError("the answer is of type " + reader.content_type() + " instead of " +
                        std::string(content_type));
  return std::move(reader.body());
}

void Connection::get(std::string_view path, const HttpReader::Sink& sink,
                     const std::function<void()>& begun) {
  std::string head = "GET ";
  head.append(path).append(" HTTP/1.1\r\nHost: poold\r\nUser-Agent: libpoold/" POOLD_VERSION "\r\n\r\n");
  HttpReader reader;
  reader.set_sink(sink);
  exchange(head, {}, reader, {}, begun);
  if (reader.status() != 200) throw_answer(reader.status(), reader.body());
}

void Connection::exchange(std::string_view request_head, std::string_view body, HttpReader& reader,
                          const Deadline& deadline, const std::function<void()>& begun) {
  connect_if_needed();
  try {
    send_request(request_head, body, deadline);
    receive_answer(reader, deadline, begun);
  } catch (...) {
    socket_.reset();  // nobody can tell where the next answer would begin
    throw;
  }
  if (!reader.keep_alive()) socket_.reset();
}

// Stops early when the daemon answers or hangs up before it has read everything: the answer says why.
void Connection::send_request(std::string_view head, std::string_view body, const Deadline& deadline) {
  std::string first(head);
  if (body.size() <= 64 * 1024) {  // one write for head and body
    first.append(body);
    body = {};
  }
  for (std::string_view bytes : {std::string_view(first), body}) {
    while (!bytes.empty()) {
      const auto n = try_send(socket_.get(), bytes);
      if (!n) return;
      bytes.remove_prefix(*n);
      if (bytes.empty() || *n > 0) continue;
      const short events = wait_for(socket_.get(), POLLIN | POLLOUT, deadline);
      if (events == 0)
        throw ConnectionLost(Code::deadline_exceeded, "the daemon did not take the request in time");
      if (events & POLLIN) return;
    }
  }
}

void Connection::receive_answer(HttpReader& reader, const Deadline& deadline, std::function<void()> begun) {
  std::array<char, 64 * 1024> space;
  while (!reader.complete()) {
    const std::size_t n = receive_some(socket_.get(), space, deadline);
    if (n == 0) {
      if (reader.finish()) return;
      throw ConnectionLost(Code::unavailable,
                           reader.begun() ? "the connection broke in the middle of the daemon's answer"
                                          : "the daemon closed the connection without an answer");
    }
    if (reader.feed({space.data(), n}) < n) throw ProtocolError("the daemon sent more than it was asked for");
    if (begun && reader.head_complete() && reader.status() == 200) std::exchange(begun, {})();
  }
}

void Connection::wait_for_close() {
  std::array<char, 4096> space;
  while (socket_.valid() && receive_some(socket_.get(), space, {}) > 0) {
  }
  socket_.reset();
}

}  // namespace poold
