// Server frames on the client's hot path. Results are read by hand into a reused StreamResult; refusals and
// errors go through the generated messages; what only a follower of output wants is named and skipped.
#pragma once

#include <string_view>

#include "client/cpp/poold/stream.hpp"

namespace poold {

enum class ServerFrameKind { result, rejected, error, other };

// For `result` and `rejected` fills `result`; for `error` fills its code and message: the daemon closes the
// stream after it. Throws ProtocolError if the payload is not a ServerFrame.
ServerFrameKind read_server_frame(std::string_view payload, StreamResult& result);

}  // namespace poold
