// Calls registered functions: from the protocol's task to the plug-in's types, and from what happened to the
// protocol's outcome. Knows nothing of pipes and threads.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <variant>
#include <vector>

#include "client/cpp/poold/detail/plugin.hpp"
#include "poold/v1/task.pb.h"

namespace poold::worker {

class FunctionCaller {
 public:
  // Throws std::runtime_error if the table is of another version of the seam, or has one name twice.
  FunctionCaller(const plugin::Table& table, const plugin::CancelledFlag& cancelled);

  std::vector<std::string_view> names() const;  // sorted

  // Runs the task here and now. `outcome` is replaced; its allocations are used again. `shared`: the
  // payload's bytes, where they are not in the spec.
  void call(const v1::TaskSpec& spec, v1::Outcome& outcome, std::span<const std::byte> shared = {});

 private:
  const plugin::Function* find(std::string_view name);
  void take_arguments(const v1::Function& function, std::span<const std::byte> shared);
  void put_reply(v1::Outcome& outcome);

  std::unordered_map<std::string_view, const plugin::Function*> functions_;
  const plugin::Function* last_ = nullptr;  // tasks of one kind come in a row
  Arguments arguments_;
  plugin::Reply reply_;
};

// An outcome that consists of its kind and an error. The texts are made UTF-8 and cut to a length that fits
// any frame.
void set_error(v1::Outcome& outcome, v1::Outcome::Kind kind, std::string_view type, std::string_view message);

}  // namespace poold::worker
