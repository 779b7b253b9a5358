// pool create, pool rm: pools made of the configuration's templates.
#include "client/cli/reading.hpp"
#include "client/cli/verbs.hpp"
#include "poold/v1/pools.pb.h"

namespace poold::cli {
namespace {

int create(Context& context, const v1::CreatePoolRequest& request) {
  v1::PoolResponse response;
  context.call("poold.v1.Pools/Create", request, response);
  if (context.format() == Format::ndjson) print(to_json(response.pool()) + "\n");
  if (context.format() == Format::table) print(response.pool().name() + "\n");
  return 0;
}

int remove(Context& context, const std::vector<std::string>& names, bool now) {
  for (const std::string& name : names) {
    v1::DeletePoolRequest request;
    request.set_name(name);
    request.set_now(now);
    v1::DeletePoolResponse response;
    context.call("poold.v1.Pools/Delete", request, response);
  }
  return 0;
}

struct CreateOptions {
  std::string from, name;
  std::uint32_t workers = 0;
};
struct RemoveOptions {
  std::vector<std::string> names;
  bool now = false;
};

}  // namespace

void add_pool_create(CLI::App& noun, Context& context) {
  const auto made = std::make_shared<CreateOptions>();
  CLI::App* verb =
      noun.add_subcommand("create", "Make a pool of a template of the configuration; print its name");
  verb->group(group_verbs);
  verb->add_option("TEMPLATE", made->from, "Key of the configuration's templates")->required();
  verb->add_option("--name", made->name, "Name of the pool (default: one that is free)")->type_name("NAME");
  verb->add_option("--workers", made->workers,
                   "How many workers (default: the template's, which is the most)")
      ->type_name("N");
  verb->callback([&context, made] {
    context.action = [&context, made] {
      v1::CreatePoolRequest request;
      request.set_template_(made->from);
      request.set_name(made->name);
      request.set_workers(made->workers);
      return create(context, request);
    };
  });

  const auto removed = std::make_shared<RemoveOptions>();
  CLI::App* rm = noun.add_subcommand("rm", "Delete pools that were made of templates")->group(group_verbs);
  rm->add_option("POOL", removed->names, "Names of pools")->required();
  rm->add_flag("--now", removed->now, "Cancel running tasks too, in place of letting them finish");
  rm->callback([&context, removed] {
    context.action = [&context, removed] { return remove(context, removed->names, removed->now); };
  });
}

}  // namespace poold::cli
