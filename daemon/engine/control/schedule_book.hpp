// The schedules and the tasks they submit: the shell around core/schedules. Those of the configuration come
// back with it; others are in the store as well, where their tasks are.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "daemon/core/schedules.hpp"
#include "daemon/engine/control/backend.hpp"
#include "daemon/engine/io/wall_timer.hpp"
#include "daemon/engine/store/durable_store.hpp"
#include "daemon/settings/settings.hpp"
#include "poold/v1/schedules.pb.h"

namespace poold::engine {

inline constexpr std::size_t schedules_max = 10'000;

class ScheduleBook : public Client, public std::enable_shared_from_this<ScheduleBook> {
 public:
  // Writes this row with the turn's others.
  using Write = std::function<void(StoredSchedule&&)>;
  ScheduleBook(Backend& backend, Write write);
  // Once, before anything else.
  void start();

  // Those of the configuration are these from now on; what has not changed goes on as it was. Says what has.
  std::vector<std::string> configure(const std::vector<settings::Schedule>& schedules);
  // What an earlier daemon wrote; after the tasks, some of which are theirs.
  void restore(const std::vector<StoredSchedule>& rows);
  // Those that are neither the configuration's nor the store's, for an engine that takes this one's place;
  // and its part.
  std::vector<StoredSchedule> hand_over() const;
  void take_over(const StoredSchedule& row);
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
    bool stored = false;
  };
  std::int64_t unix_seconds();
  std::optional<ConnectError> put(const v1::Schedule& schedule, std::uint32_t uid, bool configured);
  std::variant<TaskId, ConnectError> submit(const std::string& name);
  bool restore(const StoredSchedule& row, bool stored);
  std::string content_of(const std::string& name) const;
  // Has what is known of it written, if its pool is on the disk or it was written before.
  void save(const std::string& name);
  void forget(const std::string& name);
  bool is_on_disk(const v1::Schedule& schedule) const;
  void on_ring(bool clock_set);
  void arm();

  Backend& backend_;
  Write write_;
  core::Schedules schedules_;
  std::map<std::string, Entry> entries_;
  WallTimer timer_;
  core::ClientToken token_ = 0;
  std::uint64_t last_tag_ = 0;
  std::map<std::uint64_t, std::string> submitted_;  // tags of tasks neither accepted nor refused yet
};

}  // namespace poold::engine
