// Functions for poold workers: write a callable, name it, build it into a plug-in (or a program that calls
// poold::serve).
//
//   #include <poold/function.hpp>
//   POOLD_FUNCTION("hypotenuse", [](double a, double b) { return std::hypot(a, b); });
//
// Parameters: bool, integers, floating-point numbers, std::string, std::string_view, std::vector<T>,
// std::map<std::string, T>, std::optional<T> (may be null, and left out at the end), poold::Value. Or one
// `const poold::Arguments&` for everything as it came: positional, keyword, or bytes. Or one poold::BytesView
// for a raw payload. string_view and BytesView are valid while the call lasts.
//
// Results: void (null), what converts to poold::Value, vectors, maps and optionals of such, poold::Bytes, or
// poold::Result where it depends.
//
// What does not fit the parameters is answered with outcome REJECTED and an error of type TypeError; an
// exception with RAISED, its type and what(). Functions run in the worker's main thread, one at a time. Not
// here: how tasks come and go; see poold/worker.hpp.
#pragma once

#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <chrono>
#include <cstddef>
#include <ctime>
#include <string>
#include <tuple>
#include <type_traits>
#include <utility>
#include <variant>

#include "detail/convert.hpp"
#include "detail/plugin.hpp"

namespace poold {

using Result = std::variant<Value, Bytes>;

// The running task was asked to end. A function that takes long should look now and then, and return;
// otherwise its worker is killed after the pool's grace. Costs one load. Always false outside a worker, and
// in shared libraries that a plug-in links.
inline bool cancelled() {
  return plugin::cancelled_flag && plugin::cancelled_flag->load(std::memory_order_relaxed) != 0;
}

// Sleeps for that long, or until the running task is asked to end, whichever comes first. True if it was
// asked to end.
inline bool sleep_unless_cancelled(std::chrono::nanoseconds duration) {
  static constexpr plugin::CancelledFlag never{0};
  const plugin::CancelledFlag& flag = plugin::cancelled_flag ? *plugin::cancelled_flag : never;
  using std::chrono::steady_clock;
  const auto until = steady_clock::now() + duration;
  for (auto left = duration; flag.load(std::memory_order_relaxed) == 0 && left.count() > 0;
       left = until - steady_clock::now()) {
    const timespec time{left.count() / 1'000'000'000, left.count() % 1'000'000'000};
    ::syscall(SYS_futex, &flag, FUTEX_WAIT_PRIVATE, 0, &time, nullptr, 0);
  }
  return flag.load(std::memory_order_relaxed) != 0;
}

namespace plugin {

template <class F>
struct Signature : Signature<decltype(&F::operator())> {};
template <class R, class... P, bool N>
struct Signature<R (*)(P...) noexcept(N)> {
  using Values = std::tuple<std::decay_t<P>...>;
  static constexpr std::size_t count = sizeof...(P);
};
template <class C, class R, class... P, bool N>
struct Signature<R (C::*)(P...) noexcept(N)> : Signature<R (*)(P...)> {};
template <class C, class R, class... P, bool N>
struct Signature<R (C::*)(P...) const noexcept(N)> : Signature<R (*)(P...)> {};

inline void reject(const Function& self, Reply& reply, const std::string& why) {
  reply.kind = Reply::Kind::rejected;
  reply.message.assign(self.name).append(": ").append(why);
}

inline void set_result(Reply& reply, Bytes&& bytes) {
  reply.kind = Reply::Kind::bytes;
  reply.bytes = std::move(bytes);
}
template <class T>
void set_result(Reply& reply, T&& result) {
  if constexpr (std::is_same_v<std::remove_cvref_t<T>, Result>) {
    std::visit([&]<class A>(A&& one) { set_result(reply, std::move(one)); }, Result(std::forward<T>(result)));
  } else {
    reply.kind = Reply::Kind::value;
    reply.value = convert::to_value(std::forward<T>(result));
  }
}

template <class F, class... A>
void invoke(F& callable, Reply& reply, A&&... arguments) {
  if constexpr (std::is_void_v<std::invoke_result_t<F&, A...>>) {
    callable(std::forward<A>(arguments)...);
    reply.kind = Reply::Kind::value;
    reply.value = nullptr;
  } else {
    set_result(reply, callable(std::forward<A>(arguments)...));
  }
}

// How many arguments must be given: all but the optional ones at the end.
template <class... T>
constexpr std::size_t required_count(const std::tuple<T...>*) {
  std::size_t count = 0, position = 0;
  ((++position, count = convert::is_optional<T> ? count : position), ...);
  return count;
}

inline std::string arity_message(std::size_t required, std::size_t count, std::size_t got) {
  std::string text = "takes ";
  if (required != count) text += std::to_string(required) + " to ";
  return text + std::to_string(count) + (count == 1 ? " argument, got " : " arguments, got ") +
         std::to_string(got);
}

template <class T>
bool read_argument(const Function& self, const Arguments& arguments, std::size_t index, T& out,
                   Reply& reply) {
  if (index >= arguments.positional.size()) return true;  // optional, left out
  std::string got;
  if (convert::Parameter<T>::read(arguments.positional[index], out, got)) return true;
  reject(self, reply,
         "argument " + std::to_string(index + 1) + ": expected " + convert::Parameter<T>::name() + ", got " +
             got);
  return false;
}

template <class F>
void call_typed(const Function& self, F& callable, const Arguments& arguments, Reply& reply) {
  using S = Signature<F>;
  constexpr std::size_t required = required_count(static_cast<typename S::Values*>(nullptr));
  if (arguments.payload)
    return reject(self, reply,
                  "takes typed arguments, got bytes of type " + std::string(arguments.payload->content_type));
  if (!arguments.keyword.empty())
    return reject(self, reply,
                  "takes no keyword arguments, got \"" + arguments.keyword.begin()->first + "\"");
  if (arguments.positional.size() < required || arguments.positional.size() > S::count)
    return reject(self, reply, arity_message(required, S::count, arguments.positional.size()));
  typename S::Values values;
  [&]<std::size_t... I>(std::index_sequence<I...>) {
    if ((read_argument(self, arguments, I, std::get<I>(values), reply) && ...))
      invoke(callable, reply, std::move(std::get<I>(values))...);
  }
  (std::make_index_sequence<S::count>());
}

template <class F>
void call_bytes(const Function& self, F& callable, const Arguments& arguments, Reply& reply) {
  if (!arguments.payload) return reject(self, reply, "takes bytes, got typed arguments");
  invoke(callable, reply, BytesView(*arguments.payload));
}

template <class F>
struct Registration : Function {
  Registration(const char* function_name, F function)
      : Function{function_name, &run, first_function}, callable(std::move(function)) {
    first_function = this;
  }
  static void run(const Function& self, const Arguments& arguments, Reply& reply) {
    F& callable = const_cast<Registration&>(static_cast<const Registration&>(self)).callable;
    using Values = typename Signature<F>::Values;
    if constexpr (std::is_same_v<Values, std::tuple<Arguments>>) {
      invoke(callable, reply, arguments);
    } else if constexpr (std::is_same_v<Values, std::tuple<BytesView>>) {
      call_bytes(self, callable, arguments, reply);
    } else {
      call_typed(self, callable, arguments, reply);
    }
  }
  F callable;
};
template <class F>
Registration(const char*, F) -> Registration<F>;

}  // namespace plugin
}  // namespace poold

#define POOLD_JOIN_(a, b) a##b
#define POOLD_JOIN(a, b) POOLD_JOIN_(a, b)
// At namespace scope. `name` is what tasks call, a string literal; the rest is a callable: function, lambda,
// object with one operator().
#define POOLD_FUNCTION(name, ...) \
  static ::poold::plugin::Registration POOLD_JOIN(poold_function_, __COUNTER__)(name, __VA_ARGS__)
