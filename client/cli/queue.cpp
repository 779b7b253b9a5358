// queue: messages between processes.
#include <iostream>
#include <iterator>

#include "client/cli/exit_code.hpp"
#include "client/cli/reading.hpp"
#include "client/cli/text.hpp"
#include "client/cli/verbs.hpp"
#include "client/cpp/src/task_proto.hpp"
#include "poold/v1/queues.pb.h"

namespace poold::cli {
namespace {

struct CreateOptions {
  std::string name;
  std::uint32_t length = 0;
  bool shared = false;
};
struct PutOptions {
  std::string name, type, timeout;
  std::vector<std::string> messages;
};
struct GetOptions {
  std::string name, timeout;
  std::uint32_t count = 1;
  bool raw = false;
};
struct RemoveOptions {
  std::vector<std::string> names;
  bool drain = false;
};

// What the daemon is told, and how long its answer may take.
template <class Request>
std::chrono::milliseconds set_timeout(Context& context, const std::string& text, Request& request) {
  if (text.empty()) return no_timeout;
  const auto timeout = read_duration(text, "--timeout");
  to_proto(timeout, *request.mutable_timeout());
  return timeout + context.connection().answer_timeout();
}

int ls(Context& context) {
  v1::ListQueuesResponse response;
  context.call("poold.v1.Queues/List", v1::ListQueuesRequest(), response);
  if (context.format() == Format::ndjson)
    for (const v1::Queue& queue : response.queues()) print(to_json(queue) + "\n");
  if (context.format() != Format::table) return 0;
  Table table({{"NAME", false, true},
               {"MESSAGES", true},
               {"BYTES", true},
               {"MAX", true},
               {"PUTTING", true},
               {"GETTING", true},
               {"UID", true},
               {"STATE"}},
              context.screen());
  std::vector<Row> rows;
  for (const v1::Queue& queue : response.queues())
    rows.push_back({{escaped_line(queue.name())},
                    {std::to_string(queue.length())},
                    {std::to_string(queue.bytes())},
                    {std::to_string(queue.length_max())},
                    {std::to_string(queue.putting())},
                    {std::to_string(queue.getting())},
                    {std::to_string(queue.uid())},
                    {queue.closed()      ? "closed"
                     : queue.temporary() ? "temporary"
                     : queue.shared()    ? "shared"
                                         : "open"}});
  print(table.format(rows));
  return 0;
}

int create(Context& context, const CreateOptions& options) {
  v1::CreateQueueRequest request;
  request.set_name(options.name);
  request.set_length_max(options.length);
  request.set_shared(options.shared);
  v1::CreateQueueResponse response;
  context.call("poold.v1.Queues/Create", request, response);
  if (context.format() == Format::ndjson) print(to_json(response.queue()) + "\n");
  if (context.format() == Format::table && options.name.empty()) print(response.queue().name() + "\n");
  return 0;
}

int put(Context& context, const PutOptions& options) {
  v1::PutRequest request;
  request.set_queue(options.name);
  const auto add = [&](std::string data) {
    v1::Payload& message = *request.add_messages();
    message.set_content_type(options.type);
    message.set_data(std::move(data));
  };
  for (const std::string& message : options.messages) add(message);
  if (options.messages.empty()) add({std::istreambuf_iterator<char>(std::cin), {}});
  const auto answer_timeout = set_timeout(context, options.timeout, request);
  v1::PutResponse response;
  context.call("poold.v1.Queues/Put", request, response, answer_timeout);
  const bool all = response.put() == static_cast<std::uint32_t>(request.messages_size());
  if (!all && context.format() == Format::table)
    complain("queue '" + options.name + "' is full: " + std::to_string(response.put()) + " of " +
             std::to_string(request.messages_size()) + " messages are in");
  return all ? exit_ok : exit_timed_out;
}

int get(Context& context, const GetOptions& options) {
  v1::GetRequest request;
  request.set_queue(options.name);
  request.set_count(options.count);
  const auto answer_timeout = set_timeout(context, options.timeout, request);
  v1::GetResponse response;
  context.call("poold.v1.Queues/Get", request, response, answer_timeout);
  for (const v1::Payload& message : response.messages()) {
    if (context.format() == Format::ndjson) print(to_json(message) + "\n");
    if (context.format() != Format::table) continue;
    print(context.stdout_is_terminal() ? escaped_line(message.data()) : message.data());
    if (!options.raw) print("\n");
  }
  return response.messages().empty() ? exit_timed_out : exit_ok;
}

int remove(Context& context, const RemoveOptions& options) {
  for (const std::string& name : options.names) {
    v1::DeleteQueueRequest request;
    request.set_name(name);
    request.set_drain(options.drain);
    v1::DeleteQueueResponse response;
    context.call("poold.v1.Queues/Delete", request, response);
  }
  return 0;
}

// A verb whose options are a struct.
template <class Options>
void act(CLI::App& verb, Context& context, std::shared_ptr<Options> options,
         int (*action)(Context&, const Options&)) {
  verb.group(group_verbs);
  verb.callback([&context, options, action] {
    context.action = [&context, options, action] { return action(context, *options); };
  });
}

}  // namespace

void add_queue(CLI::App& app, Context& context) {
  CLI::App* noun = app.add_subcommand("queue", "Queues of messages: ls, create, put, get, rm");
  noun->group(group_administration);
  noun->require_subcommand(1);
  CLI::App* list = noun->add_subcommand("ls", "List queues")->group(group_verbs);
  list->callback([&context] { context.action = [&context] { return ls(context); }; });

  const auto created = std::make_shared<CreateOptions>();
  CLI::App* verb = noun->add_subcommand("create", "Make a queue; without a name print the one it gets");
  verb->add_option("QUEUE", created->name, "Name of the queue");
  verb->add_option("--length", created->length, "Messages it takes (default: 1000000)")->type_name("N");
  verb->add_flag("--shared", created->shared, "Everybody who may submit may put and get");
  act(*verb, context, created, create);

  const auto puts = std::make_shared<PutOptions>();
  verb = noun->add_subcommand("put", "Put messages into a queue; without any, what stdin has is one");
  verb->add_option("QUEUE", puts->name, "Name of the queue")->required();
  verb->add_option("MESSAGE", puts->messages, "Messages");
  verb->add_option("--type", puts->type, "Content type of the messages")->type_name("TYPE");
  verb->add_option("--timeout", puts->timeout, "Wait at most so long for room, then exit with 124")
      ->type_name("DURATION");
  act(*verb, context, puts, put);

  const auto gets = std::make_shared<GetOptions>();
  verb = noun->add_subcommand("get", "Take messages from a queue and print them, each on a line");
  verb->add_option("QUEUE", gets->name, "Name of the queue")->required();
  verb->add_option("-n,--count", gets->count, "At most so many of those that are there (default: 1)")
      ->type_name("N");
  verb->add_option("--timeout", gets->timeout, "Wait at most so long, then exit with 124")
      ->type_name("DURATION");
  verb->add_flag("--raw", gets->raw, "Print the messages' bytes and nothing else");
  act(*verb, context, gets, get);

  const auto removed = std::make_shared<RemoveOptions>();
  verb = noun->add_subcommand("rm", "Delete queues and what is in them");
  verb->add_option("QUEUE", removed->names, "Names of queues")->required();
  verb->add_flag("--drain", removed->drain,
                 "Take no more messages, and go when those that are in it are gone");
  act(*verb, context, removed, remove);
}

}  // namespace poold::cli
