// The client's half of HTTP/1.1, as far as a Connect client needs it: one answer at a time, with a length, in
// chunks, or up to the end of the connection. Sans-I/O; connection.cpp does the reading.
#pragma once

#include <cstddef>
#include <functional>
#include <string>
#include <string_view>

namespace poold {

// The daemon limits a header block to 16 KiB; its own answers are far smaller.
inline constexpr std::size_t http_head_max = 16 * 1024;
// The largest answer that is kept in memory: a Wait for 10,000 tasks with values takes a few MiB.
inline constexpr std::size_t http_body_max = 256 * 1024 * 1024;

// Reads one answer. Throws ProtocolError for anything it does not understand.
class HttpReader {
 public:
  // Without a sink the body is kept; with one it is handed on as it arrives and may be of any length.
  using Sink = std::function<void(std::string_view)>;

  // Takes bytes; returns how many belong to this answer (fewer than given only when it is complete).
  std::size_t feed(std::string_view bytes);
  // The connection ended. True if that completes the answer.
  bool finish();

  bool complete() const { return state_ == State::complete; }
  bool head_complete() const { return state_ != State::head; }
  bool begun() const { return begun_; }

  int status() const { return status_; }
  const std::string& content_type() const { return content_type_; }
  // The connection can be used for another call.
  bool keep_alive() const { return keep_alive_; }
  std::string& body() { return body_; }
  // Only answers with status 200 go to the sink: errors are kept, whoever asks.
  void set_sink(Sink sink) { sink_ = std::move(sink); }

 private:
  enum class State { head, length, until_close, chunk_size, chunk_data, chunk_end, trailer, complete };

  void read_head();
  void read_header(std::string_view line);
  void take_body(std::string_view bytes);
  bool take_line(std::string_view& bytes);
  void read_chunk_size();
  std::size_t step(std::string_view bytes);

  State state_ = State::head;
  bool begun_ = false;
  std::string head_;  // the head so far; later the current line of a chunked body
  int status_ = 0;
  std::string content_type_;
  bool keep_alive_ = true;
  bool has_length_ = false;
  bool chunked_ = false;
  std::size_t remaining_ = 0;  // bytes of the body or chunk still to come
  std::string body_;
  Sink sink_;
};

}  // namespace poold
