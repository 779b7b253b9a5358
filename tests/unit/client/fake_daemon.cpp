#include "tests/unit/client/fake_daemon.hpp"

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <stdexcept>
#include <system_error>

#include "common/frame_message.hpp"

namespace poold::test {
namespace {

[[noreturn]] void fail(const char* what) { throw std::system_error(errno, std::generic_category(), what); }

std::string make_directory() {
  std::string path = (std::filesystem::temp_directory_path() / "poold-client-XXXXXX").string();
  if (!::mkdtemp(path.data())) fail("mkdtemp");
  return path;
}

}  // namespace

FileDescriptor listen_at(const std::string& path, int backlog) {
  FileDescriptor socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path, path.data(), path.size());
  if (::bind(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) fail("bind");
  if (::listen(socket.get(), backlog) != 0) fail("listen");
  return socket;
}

TemporaryDirectory::TemporaryDirectory() : path_(make_directory()) {}

TemporaryDirectory::~TemporaryDirectory() { std::filesystem::remove_all(path_); }

std::string Peer::Request::path() const {
  const std::size_t begin = head.find(' ') + 1;
  return head.substr(begin, head.find(' ', begin) - begin);
}

bool Peer::read_more(std::string& into) {
  char bytes[64 * 1024];
  const ssize_t n = ::recv(socket_.get(), bytes, sizeof bytes, 0);
  if (n <= 0) return false;
  into.append(bytes, static_cast<std::size_t>(n));
  return true;
}

Peer::Request Peer::read_request() {
  const auto more = [this] {
    if (!read_more(unread_)) throw std::runtime_error("the client hung up before its request was whole");
  };
  std::size_t end;
  while ((end = unread_.find("\r\n\r\n")) == std::string::npos) more();
  Request request{unread_.substr(0, end), {}};
  unread_.erase(0, end + 4);
  if (const std::size_t at = request.head.find("Content-Length: "); at != std::string::npos) {
    const std::size_t size = std::strtoull(request.head.c_str() + at + 16, nullptr, 10);
    while (unread_.size() < size) more();
    request.body = unread_.substr(0, size);
    unread_.erase(0, size);
  }
  return request;
}

void Peer::send(std::string_view bytes, std::size_t piece) {
  while (!bytes.empty()) {
    const ssize_t n = ::send(socket_.get(), bytes.data(), std::min(piece, bytes.size()), MSG_NOSIGNAL);
    if (n < 0) fail("send");
    bytes.remove_prefix(static_cast<std::size_t>(n));
  }
}

void Peer::answer(int status, std::string_view content_type, std::string_view body) {
  std::string text = "HTTP/1.1 " + std::to_string(status) +
                     " X\r\nContent-Type: " + std::string(content_type) +
                     "\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n";
  send(text.append(body));
}

v1::StreamHello Peer::upgrade() {
  if (read_request().path() != "/v1/stream") throw std::runtime_error("not an upgrade");
  // The hello may arrive together with the answer.
  v1::ServerFrame hello;
  hello.mutable_hello()->add_versions(1);
  std::string bytes =
      "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: poold-frames/1\r\n\r\n";
  append_message(bytes, hello);
  send(bytes);
  return read_frame().hello();
}

v1::ClientFrame Peer::read_frame() {
  for (;;) {
    frames_.feed(std::exchange(unread_, {}));
    const FrameResult result = frames_.next();
    if (const auto* frame = std::get_if<Frame>(&result)) {
      v1::ClientFrame message;
      if (!parse_message(message, frame->payload)) throw std::runtime_error("not a ClientFrame");
      return message;
    }
    if (!read_more(unread_)) throw std::runtime_error("the client hung up instead of sending a frame");
  }
}

void Peer::send_frame(const v1::ServerFrame& frame) {
  std::string bytes;
  append_message(bytes, frame);
  send(bytes);
}

void Peer::wait_for_close() {
  std::string ignored;
  while (read_more(ignored)) ignored.clear();
}

FakeDaemon::FakeDaemon(std::vector<Script> scripts)
    : directory_(make_directory()),
      path_(directory_ + "/control.sock"),
      listener_(listen_at(path_, 16)),
      scripts_(std::move(scripts)),
      thread_([this] { play(); }) {}

FakeDaemon::~FakeDaemon() {
  ::shutdown(listener_.get(), SHUT_RDWR);  // ends an accept that nobody will answer
  if (thread_.joinable()) thread_.join();
  std::filesystem::remove_all(directory_);
}

void FakeDaemon::play() {
  try {
    for (const Script& script : scripts_) {
      FileDescriptor socket(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
      if (!socket.valid()) throw std::runtime_error("a connection was expected that never came");
      Peer peer(std::move(socket));
      script(peer);
    }
  } catch (const std::exception& error) {
    failure_ = error.what();
  }
}

std::string FakeDaemon::failure() {
  thread_.join();
  return failure_;
}

}  // namespace poold::test
