// What libpoold throws. Every error carries one of Connect's codes, so that a program can decide by code and
// print what().
//
// Codes and their meaning: https://connectrpc.com/docs/protocol#error-codes
#pragma once

#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>

namespace poold {

enum class Code {
  ok,
  canceled,
  unknown,
  invalid_argument,
  deadline_exceeded,
  not_found,
  already_exists,
  permission_denied,
  resource_exhausted,
  failed_precondition,
  aborted,
  out_of_range,
  unimplemented,
  internal,
  unavailable,
  data_loss,
  unauthenticated,
};

// As it stands in answers: "not_found".
std::string_view to_string(Code code);
std::optional<Code> parse_code(std::string_view text);

// The daemon refused, or something between it and us went wrong; the subclasses say which.
class Error : public std::runtime_error {
 public:
  Error(Code code, const std::string& message) : std::runtime_error(message), code_(code) {}
  Code code() const { return code_; }

 private:
  Code code_;
};

// No daemon took the connection, so nothing was asked of it. `permission_denied` where the socket is not ours
// to use, else `unavailable`.
class Unreachable : public Error {
 public:
  using Error::Error;
};

// The connection broke (`unavailable`), or the answer did not come in time (`deadline_exceeded`): whether the
// call was carried out is not known. A submission with a key can be repeated safely.
class ConnectionLost : public Error {
 public:
  using Error::Error;
};

// The peer does not speak this protocol, or breaks it (`internal`).
class ProtocolError : public Error {
 public:
  explicit ProtocolError(const std::string& message) : Error(Code::internal, message) {}
};

}  // namespace poold
