// semaphore: counted semaphores and who holds them. There is no acquire: a permit is held by the connection
// that asked, and poolctl's ends with poolctl.
#include "client/cli/reading.hpp"
#include "client/cli/text.hpp"
#include "client/cli/verbs.hpp"
#include "poold/v1/semaphores.pb.h"

namespace poold::cli {
namespace {

struct CreateOptions {
  std::string name;
  std::uint32_t permits = 1, maximum = 0;
  bool shared = false;
};
struct ReleaseOptions {
  std::string name;
  std::uint32_t count = 1;
};

std::string holders_text(const v1::Semaphore& semaphore) {
  std::string text;
  for (const v1::Semaphore::Holder& holder : semaphore.holders()) {
    text += (text.empty() ? "" : " ") + std::to_string(holder.pid());
    if (holder.permits() > 1) text += "x" + std::to_string(holder.permits());
  }
  return text.empty() ? "-" : text;
}

int ls(Context& context) {
  v1::ListSemaphoresResponse response;
  context.call("poold.v1.Semaphores/List", v1::ListSemaphoresRequest(), response);
  if (context.format() == Format::ndjson)
    for (const v1::Semaphore& semaphore : response.semaphores()) print(to_json(semaphore) + "\n");
  if (context.format() != Format::table) return 0;
  Table table({{"NAME", false, true},
               {"FREE", true},
               {"MAX", true},
               {"WAITING", true},
               {"UID", true},
               {"HOLDERS", false, true}},
              context.screen());
  std::vector<Row> rows;
  for (const v1::Semaphore& semaphore : response.semaphores())
    rows.push_back({{escaped_line(semaphore.name())},
                    {std::to_string(semaphore.permits())},
                    {std::to_string(semaphore.permits_max())},
                    {std::to_string(semaphore.waiting())},
                    {std::to_string(semaphore.uid())},
                    {holders_text(semaphore)}});
  print(table.format(rows));
  return 0;
}

int create(Context& context, const CreateOptions& options) {
  v1::CreateSemaphoreRequest request;
  request.set_name(options.name);
  request.set_permits(options.permits);
  request.set_permits_max(options.maximum);
  request.set_shared(options.shared);
  v1::CreateSemaphoreResponse response;
  context.call("poold.v1.Semaphores/Create", request, response);
  if (context.format() == Format::ndjson) print(to_json(response.semaphore()) + "\n");
  if (context.format() == Format::table && options.name.empty()) print(response.semaphore().name() + "\n");
  return 0;
}

int release(Context& context, const ReleaseOptions& options) {
  v1::ReleaseSemaphoreRequest request;
  request.set_semaphore(options.name);
  request.set_count(options.count);
  v1::ReleaseSemaphoreResponse response;
  context.call("poold.v1.Semaphores/Release", request, response);
  return 0;
}

int remove(Context& context, const std::vector<std::string>& names) {
  for (const std::string& name : names) {
    v1::DeleteSemaphoreRequest request;
    request.set_name(name);
    v1::DeleteSemaphoreResponse response;
    context.call("poold.v1.Semaphores/Delete", request, response);
  }
  return 0;
}

}  // namespace

void add_semaphore(CLI::App& app, Context& context) {
  CLI::App* noun = app.add_subcommand("semaphore", "Semaphores and their holders: ls, create, release, rm");
  noun->group(group_administration);
  noun->require_subcommand(1);
  CLI::App* list =
      noun->add_subcommand("ls", "List semaphores, and the processes that hold them")->group(group_verbs);
  list->callback([&context] { context.action = [&context] { return ls(context); }; });

  const auto created = std::make_shared<CreateOptions>();
  CLI::App* verb = noun->add_subcommand("create", "Make a semaphore; without a name print the one it gets");
  verb->group(group_verbs);
  verb->add_option("SEMAPHORE", created->name, "Name of the semaphore");
  verb->add_option("--permits", created->permits, "Free permits to begin with (default: 1)")->type_name("N");
  verb->add_option("--max", created->maximum, "The most there may be (default: no bound)")->type_name("N");
  verb->add_flag("--shared", created->shared, "Everybody who may submit may acquire and release");
  verb->callback(
      [&context, created] { context.action = [&context, created] { return create(context, *created); }; });

  const auto released = std::make_shared<ReleaseOptions>();
  verb = noun->add_subcommand("release", "Release permits, also such as others hold")->group(group_verbs);
  verb->add_option("SEMAPHORE", released->name, "Name of the semaphore")->required();
  verb->add_option("-n,--count", released->count, "How many (default: 1)")->type_name("N");
  verb->callback([&context, released] {
    context.action = [&context, released] { return release(context, *released); };
  });

  const auto names = std::make_shared<std::vector<std::string>>();
  verb = noun->add_subcommand("rm", "Delete semaphores; who waits is told")->group(group_verbs);
  verb->add_option("SEMAPHORE", *names, "Names of semaphores")->required();
  verb->callback(
      [&context, names] { context.action = [&context, names] { return remove(context, *names); }; });
}

}  // namespace poold::cli
