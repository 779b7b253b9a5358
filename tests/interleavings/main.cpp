// poold-interleavings: goes through every order of what can happen in tiny worlds, each state once. Prints
// how many states there were, and how many orders lead through them; on a violation, the moves that lead to
// it.
#include <algorithm>
#include <cstdio>
#include <ctime>
#include <optional>
#include <unordered_map>
#include <vector>

#include "tests/interleavings/world.hpp"

namespace poold::interleavings {
namespace {

constexpr Wishes worlds[] = {
    {.name = "plain tasks, a start that fails", .start_may_fail = true},
    {.name = "plain tasks, two deaths", .deaths = 2},
    {.name = "two attempts", .attempts = 2},
    {.name = "a time-out", .timeout = true},
    {.name = "a time-out and two attempts", .attempts = 2, .timeout = true, .deaths = 0},
    {.name = "a limit of one", .limit = true},
    {.name = "a dependency", .parent = true},
    {.name = "a time to live", .expires = true},
    {.name = "a back-off", .attempts = 2, .backoff = true},
    {.name = "a hold", .hold = true},
    {.name = "tasks sent ahead", .sent_ahead = true},
    {.name = "tasks sent ahead, two attempts", .attempts = 2, .sent_ahead = true, .deaths = 0},
};

class Search {
 public:
  explicit Search(const Wishes& wishes) : wishes_(wishes) {}

  // False if something was violated; it has been printed then.
  bool run() {
    World begin(wishes_);
    orders_ = walk(begin);
    std::printf("%8zu states, %.3g orders: %s\n", orders_of_.size(), orders_, wishes_.name);
    return right_;
  }
  std::size_t states() const { return orders_of_.size(); }
  double orders() const { return orders_; }

 private:
  // How many orders begin here. A world cannot be copied: all moves but the first begin with the path again.
  double walk(World& world) {
    if (!world.complaint().empty()) return complain(world);
    const std::uint64_t hash = world.hash();
    if (const auto known = orders_of_.find(hash); known != orders_of_.end()) return known->second;
    orders_of_.emplace(hash, 0);
    const std::vector<Move> moves = world.moves();
    if (moves.empty()) {
      world.judge_end();
      if (!world.complaint().empty()) return complain(world);
      return orders_of_[hash] = 1;
    }
    double orders = 0;
    for (std::size_t i = 0; i < moves.size() && right_; ++i) {
      std::optional<World> again;
      if (i > 0) {
        again.emplace(wishes_);
        for (const Move move : path_) again->take_again(move);
      }
      World& here = again ? *again : world;
      path_.push_back(moves[i]);
      here.take(moves[i]);
      orders += walk(here);
      path_.pop_back();
    }
    return orders_of_[hash] = orders;
  }

  double complain(const World& world) {
    if (!std::exchange(right_, false)) return 0;
    std::printf("%s: %s\n", wishes_.name, world.complaint().c_str());
    for (const Move move : path_) std::printf("  %s\n", std::string(name(move)).c_str());
    return 0;
  }

  const Wishes& wishes_;
  std::unordered_map<std::uint64_t, double> orders_of_;
  std::vector<Move> path_;
  double orders_ = 0;
  bool right_ = true;
};

}  // namespace
}  // namespace poold::interleavings

int main() {
  using namespace poold::interleavings;
  const std::clock_t begin = std::clock();
  std::size_t states = 0;
  double orders = 0;
  bool right = true;
  for (const Wishes& wishes : worlds) {
    Search search(wishes);
    right = search.run() && right;
    states += search.states();
    orders += search.orders();
  }
  std::printf("%8zu states, %.3g orders, %.1f s\n", states, orders,
              static_cast<double>(std::clock() - begin) / CLOCKS_PER_SEC);
  return right ? 0 : 1;
}
