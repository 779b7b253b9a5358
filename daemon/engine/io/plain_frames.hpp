// The four frames that a plain task costs, by hand: its submission and its result are read in place, the task
// for the worker and the result for the client are written in place.
//
// Only the plain forms are read here: every field at most once, texts in ASCII, no maps. Whatever is not
// plain is none of this file's business, and never an error: the generated messages read it again and say
// what is wrong. What is accepted here must be accepted there, with the same meaning;
// tests/unit/engine/plain_frames_test.cpp holds them side by side.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
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
  bool has_payload = false;
  std::string_view content_type;  // of the payload
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

// FromWorker{bell{}}.
bool is_plain_bell(std::string_view frame);

// Appends the frame ToWorker{task{task, attempt, id, spec, want_started}}; `spec` is a whole
// poold.v1.TaskSpec. False, and nothing is appended, if it is longer than a frame may be.
struct OutgoingTask {
  core::Sequence task = 0;
  std::uint32_t attempt = 0;
  std::string_view id;  // empty: not sent
  std::string_view spec;
  bool want_started = false;
};
bool append_task(std::string& out, const OutgoingTask& task);

// Appends the frame ServerFrame{result{tag, attempt, outcome}}; `outcome` is a whole poold.v1.Outcome. False
// as above.
bool append_result(std::string& out, std::uint64_t tag, std::uint32_t attempt, std::string_view outcome);

}  // namespace poold::engine
