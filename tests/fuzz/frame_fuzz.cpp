// Any bytes in any pieces: FrameReader says the same whatever the pieces are, and what it hands out is a
// message or is not one.
//
// Input: one byte n, n bytes of piece sizes (used in turn), then the bytes as they come from the peer.
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

#include "common/frame_message.hpp"
#include "poold/v1/stream.pb.h"
#include "poold/v1/worker.pb.h"

namespace poold {
namespace {

void require(bool condition) {
  if (!condition) std::abort();
}

// What came out of a reader: the payloads, then how it ended.
struct Heard {
  std::vector<std::string> payloads;
  bool partial = false;
  bool failed = false;
  FrameError error{};
  bool operator==(const Heard&) const = default;
};

void take(FrameReader& reader, Heard& heard) {
  while (true) {
    const FrameResult result = reader.next();
    if (const auto* frame = std::get_if<Frame>(&result)) {
      require(!heard.failed);
      heard.payloads.emplace_back(frame->payload);
    } else {
      heard.partial = reader.partial();
      if (const auto* error = std::get_if<FrameError>(&result)) {
        require(!heard.failed || heard.error == *error);
        require(!describe(*error).empty());
        heard.failed = true;
        heard.error = *error;
      }
      return;
    }
  }
}

Heard hear_at_once(std::string_view bytes) {
  FrameReader reader;
  Heard heard;
  reader.feed(bytes);
  take(reader, heard);
  return heard;
}

Heard hear_in_pieces(std::string_view bytes, std::string_view sizes) {
  FrameReader reader;
  Heard heard;
  for (std::size_t i = 0; !bytes.empty(); ++i) {
    const std::size_t wanted = sizes.empty() ? 1 : 1 + static_cast<unsigned char>(sizes[i % sizes.size()]);
    const auto space = reader.prepare();
    const std::size_t n = std::min({wanted, space.size(), bytes.size()});
    std::memcpy(space.data(), bytes.data(), n);
    reader.commit(n);
    bytes.remove_prefix(n);
    take(reader, heard);
    require(reader.capacity() <= 256 * 1024);
  }
  return heard;
}

template <typename Message>
void parse(std::string_view payload) {
  Message message;
  if (!parse_message(message, payload)) return;
  std::string bytes;
  require(append_message(bytes, message));
  const Heard heard = hear_at_once(bytes);
  require(heard.payloads.size() == 1 && !heard.partial && !heard.failed);
  Message again;
  require(parse_message(again, heard.payloads.front()));
}

}  // namespace
}  // namespace poold

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace poold;
  static const bool quiet = [] {
    google::protobuf::SetLogHandler(nullptr);
    return true;
  }();
  std::string_view bytes(reinterpret_cast<const char*>(data), size);
  if (!quiet || bytes.empty()) return 0;
  const std::size_t count = std::min<std::size_t>(data[0], bytes.size() - 1);
  const std::string_view sizes = bytes.substr(1, count);
  bytes.remove_prefix(1 + count);
  const Heard heard = hear_at_once(bytes);
  // An error leaves what follows unread, so that the rest differs by the pieces only then.
  const Heard pieces = hear_in_pieces(bytes, sizes);
  require(heard.payloads == pieces.payloads && heard.failed == pieces.failed);
  require(heard.failed ? heard.error == pieces.error : heard.partial == pieces.partial);
  for (const std::string& payload : heard.payloads) {
    parse<v1::ClientFrame>(payload);
    parse<v1::FromWorker>(payload);
  }
  return 0;
}
