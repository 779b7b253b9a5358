// Queues: List, Create, Delete, Put, Get.
#include "daemon/engine/control/submission_options.hpp"
#include "daemon/engine/control/sync_desk.hpp"
#include "daemon/engine/io/limits.hpp"
#include "poold/v1/queues.pb.h"

namespace poold::engine {
namespace {

using CallPtr = std::shared_ptr<Call>;
using DeskPtr = std::shared_ptr<SyncDesk>;
constexpr int messages_max = 10'000;

void fill(const sync::Queue& queue, v1::Queue& message) {
  message.set_name(queue.settings.name);
  message.set_length(static_cast<std::uint32_t>(queue.messages.size()));
  message.set_bytes(queue.bytes);
  message.set_length_max(queue.settings.length_max);
  message.set_bytes_max(queue.settings.bytes_max);
  message.set_putting(static_cast<std::uint32_t>(queue.putters.size()));
  message.set_getting(static_cast<std::uint32_t>(queue.getters.size()));
  message.set_uid(queue.settings.uid);
  message.set_temporary(queue.settings.bound_to != 0);
  message.set_shared(queue.settings.shared);
  message.set_closed(queue.closed);
  message.set_put(queue.put);
}

// Nothing if the caller may put and get.
std::optional<ConnectError> refusal_to(const DeskPtr& desk, const CallPtr& call, std::string_view field,
                                       const std::string& name) {
  return refusal_to_use(*call, {field, "queue", name}, owned(desk->queues().find(name)));
}

void list(const DeskPtr& desk, const CallPtr& call, const v1::ListQueuesRequest& request) {
  v1::ListQueuesResponse response;
  for (const auto& [name, queue] : desk->queues().all())
    if (may_see(*call, *owned(queue.get())) && (request.name().empty() || request.name() == name))
      fill(*queue, *response.add_queues());
  call->reply(response);
}

void create(const DeskPtr& desk, const CallPtr& call, const v1::CreateQueueRequest& request) {
  if (!request.name().empty())
    if (auto complaint = check_limit_name("name", request.name()))
      return call->fail(Code::invalid_argument, *complaint);
  if (request.length_max() > sync::queue_length_max)
    return call->fail(Code::invalid_argument, "lengthMax: more than 1000000");
  if (request.bytes_max() > sync::queue_bytes_max)
    return call->fail(Code::invalid_argument, "bytesMax: more than 1073741824");
  sync::QueueSettings settings;
  settings.name = request.name().empty() ? desk->unused_name("queue") : request.name();
  if (request.length_max() > 0) settings.length_max = request.length_max();
  if (request.bytes_max() > 0) settings.bytes_max = request.bytes_max();
  settings.uid = call->peer().uid;
  settings.shared = request.shared();
  if (request.temporary()) settings.bound_to = desk->holder(call).number;
  const std::string name = settings.name;
  const sync::Refusal refusal = desk->create(std::move(settings));
  const bool existed = refusal == sync::Refusal::exists && request.or_open();
  if (refusal != sync::Refusal::none && !existed)
    return call->fail(explain({"name", "queue", name}, refusal));
  if (existed)
    if (auto error = refusal_to(desk, call, "name", name)) return call->fail(*error);
  v1::CreateQueueResponse response;
  fill(*desk->queues().find(name), *response.mutable_queue());
  response.set_existed(existed);
  call->reply(response);
}

void remove(const DeskPtr& desk, const CallPtr& call, const v1::DeleteQueueRequest& request) {
  if (auto error = refusal_to(desk, call, "name", request.name())) return call->fail(*error);
  const SyncObject object{"name", "queue", request.name()};
  // Closing is a part of putting.
  if (!request.drain())
    if (auto error = refusal_to_delete(*call, object, *owned(desk->queues().find(request.name()))))
      return call->fail(*error);
  desk->remove_queue(request.name(), request.drain());
  call->reply(v1::DeleteQueueResponse());
}

void put(const DeskPtr& desk, const CallPtr& call, const v1::PutRequest& request) {
  if (auto error = refusal_to(desk, call, "queue", request.queue())) return call->fail(*error);
  if (request.messages_size() == 0) return call->fail(Code::invalid_argument, "messages: empty");
  if (request.messages_size() > messages_max)
    return call->fail(Code::invalid_argument, "messages: more than 10000");
  SyncDesk::Timeout timeout;
  if (auto error = read_timeout(request.has_timeout(), request.timeout(), timeout)) return call->fail(*error);
  sync::Messages messages;
  messages.reserve(static_cast<std::size_t>(request.messages_size()));
  for (const v1::Payload& payload : request.messages()) {
    if (payload.content_type().size() > name_bytes_max)
      return call->fail(Code::invalid_argument, "messages[" + std::to_string(messages.size()) +
                                                    "].contentType: longer than 255 bytes");
    if (payload.shared_size() > 0)
      return call->fail(Code::invalid_argument, "messages[" + std::to_string(messages.size()) +
                                                    "].sharedSize: only tasks have shared memory");
    messages.push_back({payload.content_type(), payload.data()});
  }
  const std::string name = request.queue();
  desk->put(call, name, std::move(messages), timeout, [call, name](const sync::QueueAnswer& answer) {
    if (answer.refusal != sync::Refusal::none)
      return call->fail(explain({"queue", "queue", name}, answer.refusal));
    v1::PutResponse response;
    response.set_put(answer.put);
    call->reply(response);
  });
}

void get(const DeskPtr& desk, const CallPtr& call, const v1::GetRequest& request) {
  if (auto error = refusal_to(desk, call, "queue", request.queue())) return call->fail(*error);
  if (request.count() > messages_max) return call->fail(Code::invalid_argument, "count: more than 10000");
  SyncDesk::Timeout timeout;
  if (auto error = read_timeout(request.has_timeout(), request.timeout(), timeout)) return call->fail(*error);
  const std::string name = request.queue();
  const std::uint32_t count = std::max(1u, request.count());
  desk->get(call, name, count, timeout, [call, name](const sync::QueueAnswer& answer) {
    if (answer.refusal != sync::Refusal::none)
      return call->fail(explain({"queue", "queue", name}, answer.refusal));
    v1::GetResponse response;
    if (answer.messages)
      for (const sync::Message& message : *answer.messages) {
        v1::Payload& payload = *response.add_messages();
        payload.set_content_type(message.content_type);
        payload.set_data(message.data);
      }
    call->reply(response);
  });
}

}  // namespace

void add_queue_methods(Router& router, const std::shared_ptr<SyncDesk>& desk) {
  router.method<v1::ListQueuesRequest>("Queues/List",
                                       [desk](auto& call, auto& request) { list(desk, call, request); });
  router.method<v1::CreateQueueRequest>("Queues/Create",
                                        [desk](auto& call, auto& request) { create(desk, call, request); });
  router.method<v1::DeleteQueueRequest>("Queues/Delete",
                                        [desk](auto& call, auto& request) { remove(desk, call, request); });
  router.method<v1::PutRequest>("Queues/Put",
                                [desk](auto& call, auto& request) { put(desk, call, request); });
  router.method<v1::GetRequest>("Queues/Get",
                                [desk](auto& call, auto& request) { get(desk, call, request); });
}

}  // namespace poold::engine
