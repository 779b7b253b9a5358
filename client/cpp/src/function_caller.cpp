#include "client/cpp/src/function_caller.hpp"

#include <cxxabi.h>

#include <algorithm>
#include <cstdlib>
#include <memory>
#include <stdexcept>
#include <typeinfo>

#include "client/cpp/src/utf8.hpp"
#include "client/cpp/src/value_proto.hpp"

namespace poold::worker {
namespace {

constexpr std::size_t error_text_max = 64 * 1024;

struct Free {
  void operator()(char* text) const { std::free(text); }
};

std::string demangle(const std::type_info* type) {
  if (!type) return "unknown";
  int status = 0;
  const std::unique_ptr<char, Free> name(abi::__cxa_demangle(type->name(), nullptr, nullptr, &status));
  return name ? name.get() : type->name();
}

// Leaves the kind alone and nothing of an earlier outcome. The value stays allocated: most outcomes have one.
void clear(v1::Outcome& outcome) {
  outcome.clear_exit_code();
  outcome.clear_signal();
  outcome.clear_core_dumped();
  if (outcome.has_payload()) outcome.clear_payload();
  if (outcome.has_error()) outcome.clear_error();
  if (outcome.has_usage()) outcome.clear_usage();
}

}  // namespace

void set_error(v1::Outcome& outcome, v1::Outcome::Kind kind, std::string_view type,
               std::string_view message) {
  clear(outcome);
  outcome.clear_value();
  outcome.set_kind(kind);
  outcome.mutable_error()->set_type(to_utf8(type.substr(0, error_text_max)));
  outcome.mutable_error()->set_message(to_utf8(message.substr(0, error_text_max)));
}

FunctionCaller::FunctionCaller(const plugin::Table& table, const plugin::CancelledFlag& cancelled) {
  if (table.abi != plugin::abi_version)
    throw std::runtime_error("built for version " + std::to_string(table.abi) +
                             " of poold/function.hpp, this worker has version " +
                             std::to_string(plugin::abi_version));
  if (table.arguments_size != sizeof(Arguments) || table.reply_size != sizeof(plugin::Reply))
    throw std::runtime_error("built with another C++ library than this worker");
  for (const auto* function = table.functions; function; function = function->next)
    if (!functions_.emplace(function->name, function).second)
      throw std::runtime_error(std::string("function \"") + function->name + "\" is registered twice");
  table.attach(&cancelled);
}

std::vector<std::string_view> FunctionCaller::names() const {
  std::vector<std::string_view> names;
  for (const auto& [name, function] : functions_) names.push_back(name);
  std::sort(names.begin(), names.end());
  return names;
}

const plugin::Function* FunctionCaller::find(std::string_view name) {
  if (last_ && name == last_->name) return last_;
  const auto found = functions_.find(name);
  return found == functions_.end() ? nullptr : last_ = found->second;
}

void FunctionCaller::take_arguments(const v1::Function& function, std::span<const std::byte> shared) {
  arguments_.positional.clear();
  if (!arguments_.keyword.empty()) arguments_.keyword.clear();
  arguments_.payload.reset();
  if (function.has_payload())
    arguments_.payload = {function.payload().data(), function.payload().content_type()};
  if (!shared.empty())
    arguments_.payload->data = {reinterpret_cast<const char*>(shared.data()), shared.size()};
  for (const auto& value : function.args()) arguments_.positional.push_back(from_proto(value));
  if (function.kwargs_size() > 0)
    for (const auto& [name, value] : function.kwargs()) arguments_.keyword.emplace(name, from_proto(value));
}

void FunctionCaller::put_reply(v1::Outcome& outcome) {
  switch (reply_.kind) {
    case plugin::Reply::Kind::value:
      clear(outcome);
      to_proto(reply_.value, *outcome.mutable_value());
      break;
    case plugin::Reply::Kind::bytes:
      if (!is_utf8(reply_.bytes.content_type)) throw std::invalid_argument("content type that is not UTF-8");
      clear(outcome);
      outcome.clear_value();
      outcome.mutable_payload()->set_data(std::move(reply_.bytes.data));
      outcome.mutable_payload()->set_content_type(std::move(reply_.bytes.content_type));
      break;
    case plugin::Reply::Kind::rejected:
      set_error(outcome, v1::Outcome::REJECTED, "TypeError", reply_.message);
      return;
  }
  outcome.set_kind(v1::Outcome::RETURNED);
}

void FunctionCaller::call(const v1::TaskSpec& spec, v1::Outcome& outcome, std::span<const std::byte> shared) {
  if (!spec.has_function())
    return set_error(outcome, v1::Outcome::REJECTED, "TypeError", "this worker runs functions, not commands");
  const plugin::Function* function = find(spec.function().name());
  if (!function)
    return set_error(outcome, v1::Outcome::REJECTED, "UnknownFunction",
                     "no function \"" + spec.function().name() + "\" in this pool's workers");
  try {
    take_arguments(spec.function(), shared);
    function->call(*function, arguments_, reply_);
    put_reply(outcome);
  } catch (const abi::__forced_unwind&) {
    throw;  // the thread is being ended; not an exception of the function's
  } catch (const std::exception& error) {
    set_error(outcome, v1::Outcome::RAISED, demangle(&typeid(error)), error.what());
  } catch (...) {
    set_error(outcome, v1::Outcome::RAISED, demangle(abi::__cxa_current_exception_type()), "");
  }
}

}  // namespace poold::worker
