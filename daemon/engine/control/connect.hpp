// The Connect protocol's unary calls (connectrpc.com/docs/protocol): codes, their HTTP statuses, and messages
// in either of two formats.
#pragma once

#include <google/protobuf/message.h>

#include <optional>
#include <string>
#include <string_view>

namespace poold::engine {

// Those of Connect's codes that poold uses.
enum class Code {
  invalid_argument,
  not_found,
  already_exists,
  permission_denied,
  resource_exhausted,
  failed_precondition,
  unimplemented,
  internal,
  unavailable,
  deadline_exceeded,
};
std::string_view name(Code code);
int http_status(Code code);

struct ConnectError {
  Code code = Code::internal;
  std::string message;
};

enum class Format { json, proto };
std::string_view content_type(Format format);

// A peer's own words in a message to it: between quotes, and no longer than names may be.
std::string quoted(std::string_view text);

// {"code": ..., "message": ...}; errors are JSON in both formats.
std::string error_body(const ConnectError& error);

// Fills the message. An error names the field, or the offset where the text is no JSON. `exact` asks for
// integers that doubles hold.
std::optional<ConnectError> decode(Format format, std::string_view body, google::protobuf::Message& message);
// In JSON, fields with default values are printed.
std::string encode(Format format, const google::protobuf::Message& message);
std::string to_json(const google::protobuf::Message& message);

}  // namespace poold::engine
