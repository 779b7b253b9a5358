// poold::Value <-> google.protobuf.Value, the two forms of typed arguments and results. Private to libpoold
// and the worker SDK: the public headers know no protobuf.
#pragma once

#include <google/protobuf/struct.pb.h>

#include "client/cpp/poold/value.hpp"

namespace poold {

// How deep lists and maps may nest. Protobuf's parsers stop at 100 messages in one another, of which a map in
// a map takes three and the frame around an argument about seven.
inline constexpr int value_depth_max = 30;

// Never fails: what the parser let through is a JSON value, except for an absent kind, which counts as null.
Value from_proto(const google::protobuf::Value& proto);

// Replaces `proto`. Throws std::invalid_argument for what JSON cannot hold, so that no peer has to refuse the
// message: a number that is not finite, a string or key that is not UTF-8, nesting beyond value_depth_max.
void to_proto(const Value& value, google::protobuf::Value& proto);

}  // namespace poold
