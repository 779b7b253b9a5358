// For test_shared_memory.py: poold-test-shared SOCKET POOL SIZE COUNT sends so many payloads of this size to
// the function "echo" of a pool, over both kinds of stream, and exits with 0 if all came back.
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <string>
#include <vector>

#include "poold/stream.hpp"

namespace {

poold::TaskSpec task_of(const std::string& pool, std::size_t size, int number) {
  poold::SharedPayload payload(size);
  std::ranges::fill(payload.writable(), static_cast<std::byte>(number));
  return {poold::Function{"echo", {}, {}, poold::Payload{"application/octet-stream", {}, payload}},
          poold::SubmitOptions{.pool = pool}};
}

bool came_back(const poold::Outcome& outcome, std::size_t size, int number) {
  const bool here = outcome.payload && outcome.payload->shared;
  if (!here || outcome.payload->shared->bytes().size() != size) {
    std::fprintf(stderr, "%s\n", poold::describe(outcome).c_str());
    return false;
  }
  return std::ranges::all_of(outcome.payload->shared->bytes(),
                             [&](std::byte byte) { return byte == static_cast<std::byte>(number); });
}

bool over_stream(const poold::StreamOptions& options, const std::string& pool, std::size_t size, int count) {
  poold::Stream stream(options);
  std::vector<std::future<poold::Outcome>> futures;
  for (int number = 0; number < count; ++number)
    futures.push_back(stream.submit(task_of(pool, size, number)));
  bool well = true;
  for (int number = 0; number < count; ++number)
    well = came_back(futures[static_cast<std::size_t>(number)].get(), size, number) && well;
  return well;
}

bool over_polled_stream(const poold::StreamOptions& options, const std::string& pool, std::size_t size,
                        int count) {
  poold::PolledStream stream(options);
  for (int number = 0; number < count; ++number)
    stream.submit(static_cast<std::uint64_t>(number), task_of(pool, size, number));
  bool well = true;
  while (stream.pending() > 0) {
    const poold::StreamResult* result = stream.next_result();
    well = came_back(result->get(), size, static_cast<int>(result->tag)) && well;
  }
  return well;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 5) return 2;
  poold::StreamOptions options{.socket = argv[1]};
  options.shared_memory = true;
  const std::size_t size = std::strtoull(argv[3], nullptr, 10);
  const int count = std::atoi(argv[4]);
  try {
    const bool well =
        over_stream(options, argv[2], size, count) && over_polled_stream(options, argv[2], size, count);
    return well ? 0 : 1;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
  }
}
