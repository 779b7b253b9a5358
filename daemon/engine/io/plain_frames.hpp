// The two frames that come a million times a second, read in place: a function's submission and its result.
//
// Only their plain forms are read here: every field at most once, texts in ASCII, no maps. Whatever is not
// plain is none of this file's business, and never an error: the generated messages read it again and say
// what is wrong. What is accepted here must be accepted there, with the same meaning;
// tests/unit/engine/plain_frames_test.cpp holds them side by side.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "daemon/core/types.hpp"

namespace poold::engine {

// ClientFrame{submit{tag, task{pool, name, priority, attempts, crash_attempts, function{name, args,
// payload}}}}. The views are into the frame. Limits of single fields have been checked
// (control/submission.hpp); whether the pool exists has not.
struct PlainSubmit {
  std::uint64_t tag = 0;
  std::string_view spec;  // the whole poold.v1.TaskSpec
  std::string_view pool;
  std::int32_t priority = 0;
  std::uint32_t attempts = 0;
  std::uint32_t crash_attempts = 0;
};
std::optional<PlainSubmit> read_plain_submit(std::string_view frame);

// FromWorker{result{task, attempt, outcome{kind, exit_code, signal, value, payload}}}.
struct PlainResult {
  core::Sequence task = 0;
  std::uint32_t attempt = 0;
  core::OutcomeKind kind = core::OutcomeKind::unspecified;
  int exit_code = 0;
  std::string_view outcome;  // the whole poold.v1.Outcome
};
std::optional<PlainResult> read_plain_result(std::string_view frame);

}  // namespace poold::engine
