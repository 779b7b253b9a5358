// HTTP/1.1 without I/O: bytes in, requests out; responses as text. Beast parses; limits are checked before
// memory is taken.
//
// Does not know what is asked for (router.hpp does) nor where the bytes come from (connection.hpp does).
#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <variant>

namespace poold::engine {

inline constexpr std::size_t http_header_max = 16 * 1024;
// As large as a frame: what can be submitted on a stream can be submitted here.
inline constexpr std::size_t http_body_max = 16 * 1024 * 1024;

struct HttpRequest {
  std::string method;
  std::string path;          // without the query, percent-decoded
  std::string query;         // after the question mark, as sent
  std::string content_type;  // without parameters, in lower case
  std::string content_encoding;
  std::string upgrade;     // the protocol asked for, in lower case; empty if none
  std::string timeout_ms;  // Connect-Timeout-Ms as sent; empty if absent
  std::string body;
  bool keep_alive = true;
};

struct HttpIncomplete {
  bool in_header = false;       // some of a header is here
  bool in_body = false;         // the header is complete, the body is not
  bool wants_continue = false;  // the peer waits for "100 Continue"; told once
};
// The peer cannot be read any further: answer with this status, then close.
struct HttpError {
  int status = 400;
  std::string message;
};
using HttpResult = std::variant<HttpIncomplete, HttpRequest, HttpError>;

class HttpReader {
 public:
  HttpReader();
  ~HttpReader();

  std::span<char> prepare();
  void commit(std::size_t count);
  // The next whole request. After an error every call returns an error.
  HttpResult next();
  // What was read beyond the last request: the first bytes of the protocol after an upgrade.
  std::string_view rest() const;

 private:
  struct Parser;
  std::unique_ptr<Parser> parser_;
  std::string buffer_;
  std::size_t begin_ = 0;
  std::size_t end_ = 0;
  bool failed_ = false;
};

struct HttpResponse {
  int status = 200;
  std::string_view content_type = "application/json";
  std::string_view body;
  bool keep_alive = true;
  std::string_view allow;  // the methods that a 405 names
};
void append_response(std::string& out, const HttpResponse& response);

// A response whose body comes in pieces until finish_chunks.
void append_chunked_head(std::string& out, std::string_view content_type);
void append_chunk(std::string& out, std::string_view bytes);
void finish_chunks(std::string& out);

inline constexpr std::string_view http_continue = "HTTP/1.1 100 Continue\r\n\r\n";
inline constexpr std::string_view http_switching =
    "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: poold-frames/1\r\n\r\n";

// The value of a key in a query string, percent-decoded; empty if it is not there.
std::string query_value(std::string_view query, std::string_view key);

}  // namespace poold::engine
