// The schedules and the tasks they submit: the shell around core/schedules. Kept in memory; those of the
// configuration come back with it.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "daemon/core/schedules.hpp"
#include "daemon/engine/control/backend.hpp"
#include "daemon/engine/io/wall_timer.hpp"
#include "daemon/settings/settings.hpp"
#include "poold/v1/schedules.pb.h"

namespace poold::engine {

inline constexpr std::size_t schedules_max = 10'000;

class ScheduleBook : public Client, public std::enable_shared_from_this<ScheduleBook> {
 public:
  explicit ScheduleBook(Backend& backend);
  // Once, before anything else.
  void start();

  // Those of the configuration are these from now on; what has not changed goes on as it was. Says what has.
  std::vector<std::string> configure(const std::vector<settings::Schedule>& schedules);
  // The error names the field.
  std::optional<ConnectError> add(const v1::Schedule& schedule, std::uint32_t uid, bool replace);
  std::optional<ConnectError> remove(const std::string& name);
  std::variant<TaskId, ConnectError> run(const std::string& name);
  // They exist.
  void fill(const std::string& name, v1::Schedule& message) const;
  const std::map<std::string, core::Schedule>& all() const { return schedules_.all(); }

  // Client: of its tasks.
  void on_accepted(const core::Accepted& accepted) override;
  void on_refused(const core::Refused& refused) override;
  void on_finished(const Record&) override {}

 private:
  // What is known of a schedule beside its times.
  struct Entry {
    v1::Schedule asked;
    std::uint32_t uid = 0;
    bool configured = false;
    std::string last_error;
  };
  std::int64_t unix_seconds();
  std::optional<ConnectError> put(const v1::Schedule& schedule, std::uint32_t uid, bool configured);
  std::variant<TaskId, ConnectError> submit(const std::string& name);
  void on_ring(bool clock_set);
  void arm();

  Backend& backend_;
  core::Schedules schedules_;
  std::map<std::string, Entry> entries_;
  WallTimer timer_;
  core::ClientToken token_ = 0;
  std::uint64_t last_tag_ = 0;
  std::map<std::uint64_t, std::string> submitted_;  // tags of tasks neither accepted nor refused yet
};

}  // namespace poold::engine
