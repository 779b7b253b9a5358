// Effects and promises as lines of text, as tests expect them.
#pragma once

#include <string>

#include "daemon/core/core.hpp"

namespace poold::core {

// Workers read pool/slot.generation. For example:
//   start p/0 · stop p/0.1 · kill p/0.1 · condemned p/0.1: it said hello twice · return p/0.1: 2 3 · cancel 1
//   on p/0.1 throttled p for 100ms · healed p · stop complete
std::string line(const State& state, const Effect& effect);
//   1 accepted · 1 accepted before · refused: QUEUE_FULL · 1 -> p/0.1 · 1 SUCCEEDED RETURNED · 1 again after
//   RAISED · 1 back
// An attempt other than the first, a body and how a worker ended follow what they belong to.
std::string line(const State& state, const Promise& promise);

}  // namespace poold::core
