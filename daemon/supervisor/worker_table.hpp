// The workers that live: started, signalled and ended as the engine asks, always as the configuration says.
// When to do which is not decided here.
#pragma once

#include <boost/asio/io_context.hpp>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "daemon/supervisor/child.hpp"
#include "daemon/supervisor/orphan.hpp"
#include "daemon/supervisor/worker_files.hpp"
#include "poold/internal/channel.pb.h"

namespace poold::supervisor {

// A slot's number is below this; as many as Pools.Scale allows.
inline constexpr std::uint32_t slots_max = 1'000;

// What all workers have in common, beside their pool's settings.
struct WorkerSurroundings {
  ProgramDirectories directories;
  const char* const* inherited_environment = nullptr;
  std::optional<rlimit> open_files;
  std::string socket;          // where clients connect: what workers run may be one
  std::string file_directory;  // of worker files
};

class WorkerTable {
 public:
  // A message for the engine, with its descriptors: WorkerStarted, WorkerStartFailed, WorkerExited.
  using Report = std::function<void(const internal::ToEngine&, std::vector<FileDescriptor>)>;
  using Emptied = std::function<void()>;  // the last worker is gone with all it ran

  WorkerTable(boost::asio::io_context& io, OwnChildren& own, WorkerSurroundings surroundings, Report report,
              Emptied emptied);

  // False if the slot is not vacant: then nothing is done. Otherwise one report follows before this returns.
  bool start(const settings::Pool& pool, std::uint32_t slot);
  // The workers of disk pools that outlived an earlier supervisor, and those that ended since and were not
  // heard. Before the first engine.
  void adopt();
  // The engine has what an orphan said: its slot may have another worker.
  void last_words_taken(const std::string& pool, std::uint32_t slot, std::uint32_t generation,
                        bool keep_file);
  // False if that generation is gone.
  bool signal(const std::string& pool, std::uint32_t slot, std::uint32_t generation, int number);
  // SIGKILL to every worker; their sessions follow as each of them dies.
  void kill_all();
  // The same for those whose tasks have gone with the engine: of pools in memory.
  void kill_mortal();
  bool empty() const { return living_ == 0; }
  bool no_mortal() const { return mortal_ == 0; }
  // The workers that outlived their engine, and fresh pipes between them and its successor, which has had its
  // welcome. One that cannot be reached is killed.
  std::size_t survivors() const { return living_ + unheard_ + missed_; }
  void reconnect();
  // This worker's pipes are on their way to the next engine: until reclaim() it lives on, whatever its pool,
  // and its end is told to every engine that comes.
  void lend(const std::string& pool, std::uint32_t slot, std::uint32_t generation);
  void reclaim();

 private:
  struct Slot {
    std::uint32_t generation = 0;  // of the last worker that was started
    std::shared_ptr<Child> worker;
    FileDescriptor
        lifeline;           // new pipes are sent on it; that it closes with the supervisor is a message, too
    bool durable = false;   // the worker's pool is: the worker outlives its engine
    std::string file_name;  // of its worker file; empty: it has none
    // An earlier supervisor's. `worker` is empty then; and once the orphan has gone, its file waits to be
    // read.
    std::shared_ptr<Orphan> orphan;
    FileDescriptor file;
    bool unheard = false;
    bool killed = false;                    // by us
    bool lent = false;                      // see lend()
    bool was_mortal = false;                // before it was lent
    std::optional<ExitReport> missed;       // it ended after it had been lent
    ExitReport last_report;                 // of the last that ended here
    std::optional<settings::Pool> planned;  // what to start when it has been heard

    bool lives() const { return worker || orphan; }
    pid_t pid = 0;
  };
  using Place = std::pair<std::string, std::uint32_t>;  // pool and slot

  bool reconnect(const Place& place, Slot& slot);
  std::optional<StartError> launch(const settings::Pool& pool, const Place& place, Slot& slot);
  void report_start(const Place& place, const Slot& slot, FileDescriptor tasks, FileDescriptor results,
                    FileDescriptor ring, FileDescriptor memory, bool adopted);
  void report_failure(const Place& place, const StartError& error);
  void on_gone(const Place& place, const ExitReport& report);
  void on_orphan_gone(const Place& place);
  void report_orphan_exit(const Place& place, const Slot& slot);
  void report_exit(const Place& place, const Slot& slot, const ExitReport& report,
                   std::vector<FileDescriptor> file);
  void give_file(const settings::Pool& pool, const Place& place, std::uint32_t generation, Slot& slot,
                 ProcessPlan& plan, FileDescriptor& file);
  static void send_signal(Slot& slot, int number);

  boost::asio::io_context& io_;
  OwnChildren& own_;
  WorkerSurroundings surroundings_;
  Report report_;
  Emptied emptied_;
  WorkerFiles files_;
  std::map<Place, Slot> slots_;  // never shrinks: generations are not used twice
  std::size_t living_ = 0;       // slots with a worker ...
  std::size_t mortal_ = 0;       // ... that dies with its engine
  std::size_t unheard_ = 0;      // slots with an orphan's file to be read
  std::size_t missed_ = 0;       // slots with the end of a lent worker
};

}  // namespace poold::supervisor
