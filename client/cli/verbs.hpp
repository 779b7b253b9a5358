// The verbs, one file each. A function here declares its verb to CLI11; its callback only leaves the action
// in the context, so that nothing happens before the whole line is known to be right.
#pragma once

#include <CLI/CLI.hpp>

#include "client/cli/context.hpp"

namespace poold::cli {

// The groups of the help.
inline constexpr const char* group_tasks = "Tasks";
inline constexpr const char* group_administration = "Administration";
inline constexpr const char* group_verbs = "Verbs";  // of a noun

void add_submit(CLI::App& app, Context& context);
void add_run(CLI::App& app, Context& context);
void add_map(CLI::App& app, Context& context);
void add_ps(CLI::App& app, Context& context);
void add_show(CLI::App& app, Context& context);
void add_logs(CLI::App& app, Context& context);
void add_wait(CLI::App& app, Context& context);
void add_cancel(CLI::App& app, Context& context);
void add_kill(CLI::App& app, Context& context);
void add_retry(CLI::App& app, Context& context);
void add_prune(CLI::App& app, Context& context);
void add_hold(CLI::App& app, Context& context);
void add_release(CLI::App& app, Context& context);
void add_explain(CLI::App& app, Context& context);
void add_events(CLI::App& app, Context& context);
void add_top(CLI::App& app, Context& context);
void add_pool(CLI::App& app, Context& context);
void add_pool_create(CLI::App& noun, Context& context);  // pool create, pool rm
void add_worker(CLI::App& app, Context& context);
void add_cron(CLI::App& app, Context& context);
void add_group(CLI::App& app, Context& context);
void add_limit(CLI::App& app, Context& context);
void add_process(CLI::App& app, Context& context);
void add_queue(CLI::App& app, Context& context);
void add_semaphore(CLI::App& app, Context& context);
void add_daemon(CLI::App& app, Context& context);
void add_api(CLI::App& app, Context& context);
void add_completion(CLI::App& app, Context& context);

}  // namespace poold::cli
