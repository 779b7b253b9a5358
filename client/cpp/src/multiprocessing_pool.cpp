// Pool: calls over one stream, as futures and callbacks.
#include <atomic>
#include <mutex>
#include <set>
#include <stdexcept>

#include "client/cpp/src/lines.hpp"
#include "poold/v1/pools.pb.h"

namespace poold::multiprocessing {

class Pool::Inside {
 public:
  explicit Inside(const PoolOptions& options)
      : lines(options.socket), stream(StreamOptions{options.socket, std::chrono::seconds(10), true}) {
    submit.pool = options.pool;
    submit.attempts = submit.crash_attempts = 1;
    if (options.of_template.empty()) return;
    v1::CreatePoolRequest request;
    request.set_template_(options.of_template);
    request.set_workers(options.workers);
    request.set_temporary(true);  // with the connection of `lines`
    v1::PoolResponse response;
    lines.call("poold.v1.Pools/Create", request, response);
    submit.pool = response.pool().name();
  }

  detail::Lines lines;
  SubmitOptions submit;
  std::atomic<bool> closed = false;
  std::mutex mutex;
  std::set<std::uint64_t> unfinished;  // tags
  std::set<std::uint64_t> early;       // of those whose end was told before submit() had returned
  Stream stream;                       // last: its thread uses the rest
};

namespace {

std::exception_ptr error_of(const StreamResult& result) {
  if (result.code != Code::ok) return std::make_exception_ptr(Error(result.code, result.message));
  if (!result.outcome.succeeded()) return std::make_exception_ptr(RemoteError(result.outcome));
  return nullptr;
}

}  // namespace

Pool::Pool(const PoolOptions& options) : inside_(std::make_unique<Inside>(options)) {}
Pool::~Pool() = default;  // the stream's end cancels what has not ended

std::future<Value> Pool::apply_async(const std::string& function, Value::List args, Value::Map kwargs,
                                     Callback callback, ErrorCallback error_callback) {
  if (inside_->closed) throw std::logic_error("the pool is closed");
  const auto promise = std::make_shared<std::promise<Value>>();
  std::future<Value> future = promise->get_future();
  Inside& inside = *inside_;
  const auto done = [promise, callback = std::move(callback), error_callback = std::move(error_callback),
                     &inside](const StreamResult& result) {
    {
      const std::scoped_lock lock(inside.mutex);
      if (inside.unfinished.erase(result.tag) == 0) inside.early.insert(result.tag);
    }
    if (const std::exception_ptr error = error_of(result)) {
      if (error_callback) error_callback(error);
      return promise->set_exception(error);
    }
    if (callback) callback(result.outcome.value);
    promise->set_value(result.outcome.value);
  };
  const std::uint64_t tag = inside.stream.submit(
      TaskSpec(Function{function, std::move(args), std::move(kwargs), {}}, inside.submit), done);
  const std::scoped_lock lock(inside.mutex);
  if (inside.early.erase(tag) == 0) inside.unfinished.insert(tag);
  return future;
}

Value Pool::apply(const std::string& function, Value::List args, Value::Map kwargs) {
  return apply_async(function, std::move(args), std::move(kwargs)).get();
}

std::vector<Value> Pool::starmap(const std::string& function, const std::vector<Value::List>& items) {
  std::vector<std::future<Value>> futures;
  for (const Value::List& args : items) futures.push_back(apply_async(function, args));
  for (const auto& future : futures) future.wait();
  std::vector<Value> values;
  for (auto& future : futures) values.push_back(future.get());
  return values;
}

std::vector<Value> Pool::map(const std::string& function, const std::vector<Value>& items) {
  std::vector<Value::List> lists;
  for (const Value& item : items) lists.push_back({item});
  return starmap(function, lists);
}

void Pool::imap(const std::string& function, const std::vector<Value>& items, const Callback& take) {
  std::vector<std::future<Value>> futures;
  for (const Value& item : items) futures.push_back(apply_async(function, {item}));
  for (auto& future : futures) take(future.get());
}

void Pool::close() { inside_->closed = true; }

void Pool::terminate() {
  inside_->closed = true;
  const std::scoped_lock lock(inside_->mutex);
  for (const std::uint64_t tag : inside_->unfinished) inside_->stream.cancel(tag);
}

void Pool::join() {
  if (!inside_->closed) throw std::logic_error("a pool is joined after close() or terminate()");
  inside_->stream.join();
}

const std::string& Pool::name() const { return inside_->submit.pool; }

}  // namespace poold::multiprocessing
