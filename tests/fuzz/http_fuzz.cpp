// Any bytes as HTTP requests: the reader says the same whatever the pieces are, and a body that is accepted
// as a message survives being printed and read again.
//
// Input: one byte n, n bytes of piece sizes (used in turn), then the bytes as they come from the peer.
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

#include "daemon/engine/control/connect.hpp"
#include "daemon/engine/control/http_codec.hpp"
#include "poold/v1/task.pb.h"
#include "poold/v1/tasks.pb.h"

namespace poold::engine {
namespace {

void require(bool condition) {
  if (!condition) std::abort();
}

// What came out of a reader: the requests, then how it ended.
struct Heard {
  std::vector<HttpRequest> requests;
  int error_status = 0;
};

void take(HttpReader& reader, Heard& heard) {
  while (true) {
    HttpResult result = reader.next();
    if (auto* request = std::get_if<HttpRequest>(&result)) {
      require(heard.error_status == 0 && request->body.size() <= http_body_max);
      require(request->path.size() + request->query.size() + request->content_type.size() <= http_header_max);
      heard.requests.push_back(std::move(*request));
    } else {
      if (const auto* error = std::get_if<HttpError>(&result)) {
        require(error->status >= 400 && error->status < 500 && !error->message.empty());
        if (heard.error_status == 0) heard.error_status = error->status;
      } else {
        const auto& incomplete = std::get<HttpIncomplete>(result);
        require(!(incomplete.in_header && incomplete.in_body));
      }
      return;
    }
  }
}

Heard hear(std::string_view bytes, std::string_view sizes, bool at_once) {
  HttpReader reader;
  Heard heard;
  for (std::size_t i = 0; !bytes.empty(); ++i) {
    const std::size_t wanted = sizes.empty() ? 1 : 1 + static_cast<unsigned char>(sizes[i % sizes.size()]);
    const auto space = reader.prepare();
    const std::size_t n = std::min({at_once ? bytes.size() : wanted, space.size(), bytes.size()});
    std::memcpy(space.data(), bytes.data(), n);
    reader.commit(n);
    bytes.remove_prefix(n);
    if (!at_once || bytes.empty()) take(reader, heard);
  }
  return heard;
}

template <typename Message>
void decode_as(Format format, const std::string& body) {
  Message message;
  if (const auto error = decode(format, body, message)) {
    require(!error->message.empty() && !error_body(*error).empty());
    return;
  }
  Message again;
  require(!decode(Format::proto, encode(Format::proto, message), again));
  require(again.SerializeAsString().size() == message.SerializeAsString().size());
}

}  // namespace
}  // namespace poold::engine

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace poold;
  using namespace poold::engine;
  static const bool quiet = [] {
    google::protobuf::SetLogHandler(nullptr);
    return true;
  }();
  std::string_view bytes(reinterpret_cast<const char*>(data), size);
  if (!quiet || bytes.empty()) return 0;
  const std::size_t count = std::min<std::size_t>(data[0], bytes.size() - 1);
  const std::string_view sizes = bytes.substr(1, count);
  bytes.remove_prefix(1 + count);
  const Heard whole = hear(bytes, sizes, true), pieces = hear(bytes, sizes, false);
  require(whole.requests.size() == pieces.requests.size());
  // A header that began in an earlier piece is looked at only when its end is there: the mistake may still be
  // unseen.
  require(pieces.error_status == 0 || pieces.error_status == whole.error_status);
  for (std::size_t i = 0; i < whole.requests.size(); ++i) {
    const HttpRequest &one = whole.requests[i], &other = pieces.requests[i];
    require(one.method == other.method && one.path == other.path && one.query == other.query &&
            one.body == other.body);
    require(one.upgrade == other.upgrade && one.content_type == other.content_type &&
            one.keep_alive == other.keep_alive);
    query_value(one.query, "follow");
    const Format format = one.content_type == "application/proto" ? Format::proto : Format::json;
    decode_as<v1::TaskSpec>(format, one.body);
    decode_as<v1::WaitRequest>(format, one.body);
    decode_as<v1::ListTasksRequest>(format, one.body);
  }
  return 0;
}
