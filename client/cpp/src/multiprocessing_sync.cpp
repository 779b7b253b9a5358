// Queue, Semaphore, Pipe: what processes meet at.
#include <google/protobuf/util/time_util.h>

#include <stdexcept>

#include "client/cpp/src/lines.hpp"
#include "client/cpp/src/task_proto.hpp"
#include "poold/v1/queues.pb.h"
#include "poold/v1/semaphores.pb.h"

namespace poold::multiprocessing {
namespace {

template <class Request>
void set_timeout(const Timeout& timeout, Request& request) {
  if (timeout) to_proto(*timeout, *request.mutable_timeout());
}

}  // namespace

Queue::Queue(const QueueOptions& options) : lines_(std::make_shared<detail::Lines>(options.socket)) {
  v1::CreateQueueRequest request;
  request.set_name(options.name);
  request.set_length_max(options.length_max);
  request.set_temporary(options.name.empty());
  request.set_or_open(true);
  v1::CreateQueueResponse response;
  lines_->call("poold.v1.Queues/Create", request, response);
  name_ = response.queue().name();
}

Queue::Queue(std::shared_ptr<detail::Lines> lines, std::string name)
    : lines_(std::move(lines)), name_(std::move(name)) {}

Queue Queue::open(const std::string& name, const std::string& socket) {
  return {std::make_shared<detail::Lines>(socket), name};
}

bool Queue::put(std::string message, Timeout timeout) {
  v1::PutRequest request;
  request.set_queue(name_);
  request.add_messages()->set_data(std::move(message));
  set_timeout(timeout, request);
  v1::PutResponse response;
  lines_->call("poold.v1.Queues/Put", request, response, timeout);
  return response.put() == 1;
}

std::optional<std::string> Queue::get(Timeout timeout) {
  v1::GetRequest request;
  request.set_queue(name_);
  set_timeout(timeout, request);
  v1::GetResponse response;
  lines_->call("poold.v1.Queues/Get", request, response, timeout);
  if (response.messages().empty()) return std::nullopt;
  return std::move(*response.mutable_messages(0)->mutable_data());
}

std::optional<Value> Queue::get_value(Timeout timeout) {
  const auto message = get(timeout);
  return message ? std::optional(Value::from_json(*message)) : std::nullopt;
}

void Queue::close() {
  v1::DeleteQueueRequest request;
  request.set_name(name_);
  request.set_drain(true);
  v1::DeleteQueueResponse response;
  lines_->call("poold.v1.Queues/Delete", request, response);
}

Semaphore::Semaphore(const SemaphoreOptions& options)
    : lines_(std::make_shared<detail::Lines>(options.socket)) {
  v1::CreateSemaphoreRequest request;
  request.set_name(options.name);
  request.set_permits(options.permits);
  request.set_permits_max(options.permits_max);
  request.set_temporary(options.name.empty());
  request.set_or_open(true);
  v1::CreateSemaphoreResponse response;
  lines_->call("poold.v1.Semaphores/Create", request, response);
  name_ = response.semaphore().name();
}

Semaphore::Semaphore(std::shared_ptr<detail::Lines> lines, std::string name)
    : lines_(std::move(lines)), name_(std::move(name)) {}

Semaphore Semaphore::open(const std::string& name, const std::string& socket) {
  return {std::make_shared<detail::Lines>(socket), name};
}

bool Semaphore::acquire(Timeout timeout) {
  v1::AcquireRequest request;
  request.set_semaphore(name_);
  set_timeout(timeout, request);
  v1::AcquireResponse response;
  lines_->call("poold.v1.Semaphores/Acquire", request, response, timeout);
  return response.acquired();
}

void Semaphore::release(std::uint32_t count) {
  v1::ReleaseSemaphoreRequest request;
  request.set_semaphore(name_);
  request.set_count(count);
  v1::ReleaseSemaphoreResponse response;
  lines_->call("poold.v1.Semaphores/Release", request, response);
}

// "<in>|<out>", either of them empty; a queue's name that the daemon makes up has no bar.
Connection::Connection(const std::string& reference) {
  const std::size_t bar = reference.find('|');
  if (bar == reference.npos)
    throw std::invalid_argument("not a reference to the end of a pipe: '" + reference + "'");
  if (bar > 0) in_ = Queue::open(reference.substr(0, bar));
  if (bar + 1 < reference.size()) out_ = Queue::open(reference.substr(bar + 1));
}

std::string Connection::reference() const {
  return (in_ ? in_->name() : std::string()) + '|' + (out_ ? out_->name() : std::string());
}

void Connection::send(std::string message) {
  if (!out_) throw std::logic_error("this end of the pipe only receives");
  out_->put(std::move(message));
}

std::string Connection::receive() {
  if (!in_) throw std::logic_error("this end of the pipe only sends");
  if (ahead_) return *std::exchange(ahead_, std::nullopt);
  return in_->get().value();
}

bool Connection::poll(Timeout timeout) {
  if (!in_) throw std::logic_error("this end of the pipe only sends");
  if (ahead_ || at_end_) return true;
  try {
    ahead_ = in_->get(timeout);
  } catch (const Error& error) {
    if (error.code() != Code::not_found) throw;
    at_end_ = true;
  }
  return ahead_ || at_end_;
}

void Connection::close() {
  if (out_) out_->close();
  out_.reset();
  in_.reset();
}

std::pair<Connection, Connection> Pipe(bool duplex, const std::string& socket) {
  const QueueOptions options{.name = {}, .length_max = 0, .socket = socket};
  const Queue there(options);
  if (!duplex) return {Connection(there, std::nullopt), Connection(std::nullopt, there)};
  const Queue back(options);
  return {Connection(back, there), Connection(there, back)};
}

}  // namespace poold::multiprocessing
