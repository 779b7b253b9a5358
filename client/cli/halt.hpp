// When map gives up early (--halt), and how many tasks it lets be in flight. Pure: numbers in, decisions out.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace poold::cli {

// How many tasks have ended, and how.
struct Tally {
  std::uint64_t succeeded = 0;
  std::uint64_t failed = 0;
  std::uint64_t done() const { return succeeded + failed; }
};

struct Halt {
  enum class When {
    never,
    soon,  // submit nothing more; what is in flight goes on
    now,   // cancel what is in flight, too
  };
  enum class What { fail, success, done };

  When when = When::never;
  What what = What::fail;
  std::uint64_t count = 0;  // or, if `percent`, of the tasks that have ended
  bool percent = false;

  bool reached(const Tally& tally) const;
};

// "never", "soon,fail=1", "now,fail=10%", "now,success=1", "soon,done=100". Throws UsageError.
Halt read_halt(std::string_view text);

// How many tasks map keeps in flight where nobody says: enough to keep the pool busy for a second at the
// pace of late, so that short tasks come in thousands, and long ones do not fill the queue before
// everybody else's.
class Window {
 public:
  using Instant = std::chrono::steady_clock::time_point;

  // `workers`: how many the pool has.
  Window(std::size_t workers, Instant now);
  // So many tasks have ended since the last call.
  void ended(std::size_t count, Instant now);
  std::size_t size() const { return size_; }

 private:
  std::size_t size_min_;
  std::size_t size_;
  std::size_t ended_ = 0;  // since
  Instant since_;
};

}  // namespace poold::cli
