#include "daemon/engine/control/submission.hpp"

#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/io/zero_copy_stream_impl_lite.h>

#include <algorithm>
#include <cstdlib>
#include <functional>
#include <string>
#include <string_view>

#include "common/allowed_program.hpp"
#include "daemon/engine/control/submission_options.hpp"

namespace poold::engine {
namespace {

using Complaint = std::optional<std::string>;

bool has_control_character(std::string_view text) {
  for (const unsigned char c : text)
    if (c < 0x20 || c == 0x7f) return true;
  return false;
}

Complaint check_name(const std::string& field, std::string_view text) {
  if (text.size() > name_bytes_max) return field + ": longer than 255 bytes";
  if (has_control_character(text)) return field + ": control characters are not accepted";
  return std::nullopt;
}

bool has_zero(std::string_view text) { return text.find('\0') != std::string_view::npos; }

Complaint check_arguments(const google::protobuf::RepeatedPtrField<std::string>& arguments,
                          const std::string& field, std::size_t& total) {
  for (int i = 0; i < arguments.size(); ++i) {
    const std::string& argument = arguments[i];
    const auto where = [&] { return "command." + field + '[' + std::to_string(i) + "]: "; };
    if (has_zero(argument)) return where() + "a zero byte is not accepted";
    if (argument.size() >= argument_bytes_max)
      return where() + "longer than the 131071 bytes that the kernel takes";
    total += argument.size() + 1;
  }
  return std::nullopt;
}

Complaint check_command(const v1::Command& command) {
  if (command.argv_size() > 0 && command.argv_bytes_size() > 0)
    return "command.argv_bytes: only one of argv and argv_bytes may be set";
  if (command.argv_size() + command.argv_bytes_size() == 0)
    return "command.argv: empty; the first word is the program";
  std::size_t total = 0;
  if (auto complaint = check_arguments(command.argv(), "argv", total)) return complaint;
  if (auto complaint = check_arguments(command.argv_bytes(), "argvBytes", total)) return complaint;
  const std::string& program = command.argv_size() > 0 ? command.argv(0) : command.argv_bytes(0);
  if (program.empty()) return "command.argv[0]: empty; the first word is the program";
  for (const auto& [name, value] : command.env()) {
    const std::string where = "command.env[" + name + "]: ";
    if (name.empty() || name.find('=') != std::string::npos || has_zero(name))
      return where + "not a variable's name";
    if (has_zero(value)) return where + "a zero byte is not accepted";
    if (name.size() + value.size() + 2 > argument_bytes_max)
      return where + "longer than the kernel takes (131071 bytes with its name)";
    total += name.size() + value.size() + 2;
  }
  if (total > arguments_bytes_max)
    return "command: arguments and environment are longer than 2097152 bytes together";
  const std::string& cwd = command.cwd();
  if (!cwd.empty() && (cwd[0] != '/' || has_zero(cwd) || cwd.size() > 4095))
    return "command.cwd: not an absolute path";
  return std::nullopt;
}

Complaint check_function(const v1::Function& function) {
  if (function.name().empty()) return "function.name: empty";
  if (auto complaint = check_name("function.name", function.name())) return complaint;
  if (function.has_payload() && (function.args_size() > 0 || function.kwargs_size() > 0))
    return "function.payload: either args and kwargs or a payload";
  if (function.has_payload())
    if (auto complaint = check_name("function.payload.contentType", function.payload().content_type()))
      return complaint;
  return std::nullopt;
}

Complaint check_spec(const v1::TaskSpec& spec) {
  if (auto complaint = check_name("name", spec.name())) return complaint;
  if (auto complaint = check_name("key", spec.key())) return complaint;
  if (spec.attempts() > attempts_max) return "attempts: more than 1000000";
  if (spec.crash_attempts() > attempts_max) return "crashAttempts: more than 1000000";
  if (spec.labels_size() > labels_max) return "labels: more than 64";
  if (!v1::TaskSpec::WhenFull_IsValid(spec.when_full())) return "whenFull: not REFUSE or WAIT";
  for (const auto& [key, value] : spec.labels()) {
    if (key.empty()) return "labels: an empty key";
    if (auto complaint = check_name("labels[" + key.substr(0, name_bytes_max) + "]", key)) return complaint;
    if (auto complaint = check_name("labels[" + key + "]", value)) return complaint;
  }
  switch (spec.work_case()) {
    case v1::TaskSpec::kCommand:
      return check_command(spec.command());
    case v1::TaskSpec::kFunction:
      return check_function(spec.function());
    case v1::TaskSpec::WORK_NOT_SET:
      return "work: neither command nor function is set";
  }
  std::abort();
}

// The same payload has the same digest, whatever order its maps came in. Key and pool are the scope, not the
// payload; whether to wait for room is how it is handed in.
std::uint64_t digest(v1::TaskSpec spec) {
  spec.clear_key();
  spec.clear_when_full();
  std::string bytes;
  {
    google::protobuf::io::StringOutputStream stream(&bytes);
    google::protobuf::io::CodedOutputStream coded(&stream);
    coded.SetSerializationDeterministic(true);
    spec.SerializeToCodedStream(&coded);
  }
  return std::hash<std::string>{}(bytes);
}

std::string_view pool_or_default(std::string_view name) { return name.empty() ? "default" : name; }

// A pool may list the only programs that it runs.
Complaint check_allowed(const Backend& backend, core::PoolIndex pool, const v1::Command& command) {
  const std::vector<std::string>& allowed = backend.allowed_programs(pool);
  if (allowed.empty()) return std::nullopt;
  const std::string pool_name = "pool '" + backend.state().pools[pool].settings.name + "'";
  const std::string& program = command.argv_size() > 0 ? command.argv(0) : command.argv_bytes(0);
  if (!find_allowed(allowed, program))
    return "command.argv[0]: " + quoted(program) + " is not allowed in " + pool_name;
  for (const auto& [name, value] : command.env())
    if (changes_program(name))
      return "command.env[" + name + "]: not allowed in " + pool_name + ", which runs listed programs only";
  return std::nullopt;
}

// A pool lists the payloads that it takes; without a list it takes all but pickles.
Complaint check_accepted(const Backend& backend, core::PoolIndex pool, std::string_view content_type) {
  if (backend.accepts(pool, content_type)) return std::nullopt;
  const std::string& name = backend.state().pools[pool].settings.name;
  std::string accepted;
  for (const std::string& type : backend.accepted_types(pool))
    accepted += (accepted.empty() ? "" : ", ") + type;
  if (accepted.empty()) accepted = "no pickles (accept: pickle in its configuration changes that)";
  return "function.payload.contentType: pool '" + name + "' does not take " + quoted(content_type) +
         "; it takes " + accepted;
}

// Which pool takes this work.
std::variant<core::PoolIndex, ConnectError> find_pool(const Backend& backend, const std::string& name,
                                                      bool command, std::uint32_t uid) {
  const auto pool = backend.state().pool_names.find(name);
  const MadePool* made = pool == backend.state().pool_names.end() ? nullptr : backend.made_pool(pool->second);
  if (pool == backend.state().pool_names.end() || (made && made->process))
    return ConnectError{Code::not_found, "pool: there is no pool " + quoted(name)};
  if (made && made->uid != uid && uid != 0)
    return ConnectError{Code::permission_denied, "pool: " + quoted(name) + " was made by uid " +
                                                     std::to_string(made->uid) + " for itself"};
  const bool commands = backend.runs_commands(pool->second);
  if (commands != command)
    return ConnectError{Code::invalid_argument, (commands ? "function: pool '" : "command: pool '") + name +
                                                    (commands ? "' runs commands" : "' runs functions")};
  return pool->second;
}

ConnectError store_trouble(const Backend& backend, const std::string& pool) {
  return {Code::unavailable, "pool '" + pool + "': the store cannot be written: " + backend.store_trouble()};
}

// A durable pool takes nothing while its store cannot keep it.
std::optional<ConnectError> refusal_by_store(const Backend& backend, core::PoolIndex pool) {
  const core::PoolSettings& settings = backend.state().pools[pool].settings;
  if (!settings.durable || backend.store_trouble().empty()) return std::nullopt;
  return store_trouble(backend, settings.name);
}

}  // namespace

std::variant<core::Submit, ConnectError> make_submission(Backend& backend, const PlainSubmit& plain,
                                                         std::uint32_t uid, core::PoolIndex& hint) {
  const std::string_view name = pool_or_default(plain.pool);
  const auto& pools = backend.state().pools;
  const bool same = hint < pools.size() && pools[hint].settings.name == name && !backend.runs_commands(hint);
  if (!same) {
    const auto found = find_pool(backend, std::string(name), false, uid);
    if (const auto* error = std::get_if<ConnectError>(&found)) return *error;
    hint = std::get<core::PoolIndex>(found);
  }
  if (auto error = refusal_by_store(backend, hint)) return *error;
  if (plain.has_payload)
    if (auto complaint = check_accepted(backend, hint, plain.content_type))
      return ConnectError{Code::invalid_argument, *complaint};
  core::Submit submit;
  submit.id = backend.next_task_id();
  submit.pool = hint;
  submit.priority = plain.priority;
  submit.attempts_max = std::max(1u, plain.attempts);
  submit.crash_attempts_max = plain.crash_attempts;
  submit.uid = uid;
  submit.spec = backend.spare_buffers().hold(plain.spec);
  return submit;
}

std::variant<core::Submit, ConnectError> make_submission(Backend& backend, const v1::TaskSpec& spec,
                                                         std::uint32_t uid, const Rights& rights,
                                                         std::shared_ptr<TaskMemory> memory) {
  if (spec.function().payload().shared_size() > 0 && !memory)
    return ConnectError{Code::invalid_argument,
                        "function.payload.sharedSize: only a stream carries shared memory"};
  if (auto complaint = check_spec(spec)) return ConnectError{Code::invalid_argument, *complaint};
  const std::string pool_name(pool_or_default(spec.pool()));
  const auto pool = find_pool(backend, pool_name, spec.has_command(), uid);
  if (const auto* error = std::get_if<ConnectError>(&pool)) return *error;
  if (spec.has_command())
    if (auto complaint = check_allowed(backend, std::get<core::PoolIndex>(pool), spec.command()))
      return ConnectError{Code::permission_denied, *complaint};
  if (auto error = refusal_by_store(backend, std::get<core::PoolIndex>(pool))) return *error;
  if (spec.function().has_payload())
    if (auto complaint = check_accepted(backend, std::get<core::PoolIndex>(pool),
                                        spec.function().payload().content_type()))
      return ConnectError{Code::invalid_argument, *complaint};
  auto options = make_options(backend, spec, rights);
  if (const auto* error = std::get_if<ConnectError>(&options)) return *error;
  core::Submit submit;
  submit.options = std::move(std::get<std::unique_ptr<core::TaskOptions>>(options));
  if (memory) {
    if (!submit.options) submit.options = std::make_unique<core::TaskOptions>();
    submit.options->kept = std::move(memory);
  }
  submit.id = backend.next_task_id();
  if (submit.options)
    submit.options->seed = submit.id.high ^ submit.id.low;  // some of it was drawn at the start
  submit.pool = std::get<core::PoolIndex>(pool);
  submit.priority = spec.priority();
  submit.attempts_max = std::max(1u, spec.attempts());
  submit.crash_attempts_max = spec.crash_attempts();
  submit.uid = uid;
  spec.SerializeToString(&submit.spec);
  if (!spec.key().empty()) {
    submit.key = std::make_unique<std::string>(pool_name + '\0' + std::to_string(uid) + '\0' + spec.key());
    submit.digest = digest(spec);
  }
  return submit;
}

bool has_to_wait(const Backend& backend, const v1::TaskSpec& spec, const core::Submit& submission) {
  if (spec.when_full() != v1::TaskSpec::WAIT) return false;
  const core::State& state = backend.state();
  // A known key is an answer, however full the pool is.
  if (submission.key && state.keys.contains(*submission.key)) return false;
  return core::is_full(state, state.pools[submission.pool], submission.uid);
}

ConnectError explain(const Backend& backend, const core::Refused& refused) {
  const core::PoolSettings& pool = backend.state().pools[refused.pool].settings;
  switch (refused.refusal) {
    case core::Refusal::queue_full:
      return {Code::resource_exhausted,
              "pool '" + pool.name + "': its queue is full (" + std::to_string(pool.queue_size) + " tasks)"};
    case core::Refusal::user_full:
      return {Code::resource_exhausted, "pool '" + pool.name +
                                            "': you have as many unfinished tasks as one user may (" +
                                            std::to_string(pool.user_tasks_max) + ")"};
    case core::Refusal::pool_draining:
      return {Code::failed_precondition, "pool '" + pool.name + "' is draining"};
    case core::Refusal::pool_removed:
      return {Code::not_found, "pool: there is no pool '" + pool.name + "' any more"};
    case core::Refusal::key_reused:
      return {Code::already_exists, "key: was used for a task with another payload"};
    case core::Refusal::group_closed:
      return {Code::failed_precondition,
              "group: a task waits for the end of this group (afterGroup); until then it takes no other"};
    case core::Refusal::group_unknown:
      return {Code::not_found, "afterGroup: you have no group of this name, as no task of it is known"};
    case core::Refusal::stopping:
      return {Code::unavailable, "the daemon is stopping"};
    case core::Refusal::store_trouble:
      return store_trouble(backend, pool.name);
  }
  std::abort();
}

}  // namespace poold::engine
