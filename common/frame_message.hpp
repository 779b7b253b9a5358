// Protobuf messages in frames. Needs protobuf; frame.hpp does not.
#pragma once

#include <google/protobuf/message_lite.h>

#include <string>
#include <string_view>

#include "common/frame.hpp"

namespace poold {

// Appends the message as one frame. False, and nothing is appended, if it is longer than frame_payload_max.
inline bool append_message(std::string& out, const google::protobuf::MessageLite& message) {
  char* space = append_envelope(out, message.ByteSizeLong());
  if (!space) return false;
  message.SerializeWithCachedSizesToArray(reinterpret_cast<unsigned char*>(space));
  return true;
}

// Replaces the message's content. False if the bytes are not such a message (strings that are not UTF-8
// included).
inline bool parse_message(google::protobuf::MessageLite& message, std::string_view payload) {
  return message.ParseFromArray(payload.data(), static_cast<int>(payload.size()));
}

}  // namespace poold
