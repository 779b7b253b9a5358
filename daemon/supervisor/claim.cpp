#include "daemon/supervisor/claim.hpp"

#include <chrono>
#include <string_view>
#include <utility>

#include "daemon/supervisor/text.hpp"

namespace poold::supervisor {
namespace {}  // namespace

std::variant<Claim, Refusal> Claim::take(const Places& places, PassedSocket passed) {
  for (const std::string& path : {places.socket, places.state_directory})
    if (const std::string shown = printable(path); shown != path)
      return Refusal{shown + ": a path must be UTF-8 without control characters, and not be endless"};

  // Locks first: whoever is refused has changed nothing of the owner's.
  if (auto made = prepare_socket_directory(places.socket); auto* refusal = std::get_if<Refusal>(&made))
    return std::move(*refusal);
  auto socket_lock = FileLock::take(places.socket + ".lock", "socket " + places.socket);
  if (auto* refusal = std::get_if<Refusal>(&socket_lock)) return std::move(*refusal);
  if (auto made = make_directory(places.state_directory, 0700, 0700);
      auto* refusal = std::get_if<Refusal>(&made))
    return std::move(*refusal);
  auto state_lock = FileLock::take(places.state_directory + "/supervisor.lock",
                                   "state directory " + places.state_directory);
  if (auto* refusal = std::get_if<Refusal>(&state_lock)) return std::move(*refusal);
  if (auto waited = wait_for_engine_lock(places.state_directory + "/engine.lock", engine_lock_patience);
      auto* refusal = std::get_if<Refusal>(&waited))
    return std::move(*refusal);
  auto socket = passed.socket.valid() ? ControlSocket::adopt(places.socket, std::move(passed))
                                      : ControlSocket::bind(places.socket);
  if (auto* refusal = std::get_if<Refusal>(&socket)) return std::move(*refusal);
  return Claim(places, std::get<FileLock>(std::move(socket_lock)), std::get<FileLock>(std::move(state_lock)),
               std::get<ControlSocket>(std::move(socket)));
}

Claim::Claim(Places places, FileLock socket_lock, FileLock state_lock, ControlSocket socket)
    : places_(std::move(places)),
      socket_lock_(std::move(socket_lock)),
      state_lock_(std::move(state_lock)),
      socket_(std::move(socket)) {}

}  // namespace poold::supervisor
