// Many tasks through streaming clients, each with a full window: stream_bench WORK WINDOW COUNT [SIZE]
// [--clients N] [--full], with the socket in POOLD_SOCKET. work.hpp has the names of WORK.
//
// Keeps WINDOW tasks in flight until COUNT are done; `mixed` sends one task of a minute ahead. With
// --clients, N threads with a connection and a window each share the COUNT. With --full, a steady queue is
// measured: the window is filled while somebody holds the pool paused; then `full` is printed and a line of
// standard input is waited for (the pool should be going again then); the clock stops when the last task has
// been sent. Every result is looked at: right kind, right value, each tag once. Prints lines of a name and a
// number. tests/bench/run decides how often and beside what; paced_bench.cpp is for a given rate in place of
// a given window.
#include <algorithm>
#include <barrier>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <future>
#include <iostream>
#include <memory>
#include <stdexcept>

#include "tests/bench/work.hpp"

namespace {

using namespace poold::bench;

struct Request {
  std::string work;
  std::size_t window = 0;
  std::size_t count = 0;
  std::size_t size = 100;
  std::size_t clients = 1;
  bool full = false;
};

// Latency is looked at for every task where few are in flight, else for some, so that looking costs nothing.
std::size_t sampling_stride(std::size_t window) { return window <= 64 ? 1 : 16; }

class Client {
 public:
  Client(const Work& work, const Request& request, std::size_t count)
      : work_(work),
        window_(request.window),
        count_(count),
        batch_(std::min<std::size_t>((window_ + 1) / 2, 512)),
        stride_(sampling_stride(window_)),
        expected_(work, count),
        sent_at_(count / stride_ + 1) {
    times_.reserve(sent_at_.size());
  }

  void send_long_one() {
    poold::SubmitOptions options;
    options.pool = "mixed";
    stream_.submit(count_, {poold::Function{"sleep_ms", {60'000}, {}, {}}, options});
  }

  // Until the daemon has read a window of tasks: it reads in order, so a task of another pool comes after
  // them.
  void fill() {
    send();
    poold::SubmitOptions options;
    options.pool = "default";
    stream_.submit(count_, {poold::Command{{"/bin/true"}, {}, {}, {}}, options});
    const auto* result = stream_.next_result();
    if (result->tag != count_) throw std::runtime_error("pool math is not paused: --full needs it to be");
    result->get();
  }

  // All results, or the first while there is something left to send.
  void run(bool to_the_end) {
    while (to_the_end ? received_ < count_ : sent_ < count_) {
      if (sent_ - received_ + batch_ <= window_) send();
      receive();
    }
  }

  std::size_t received() const { return received_; }
  const std::vector<double>& times() const { return times_; }

 private:
  void send() {
    const auto now = Clock::now();
    for (; sent_ < count_ && sent_ - received_ < window_; ++sent_) {
      expected_.submitted(sent_);
      if (sent_ % stride_ == 0) sent_at_[sent_ / stride_] = now;
      stream_.submit(sent_, work_.task);
    }
    stream_.flush();
  }

  // Waits for the first, then takes what came with it until it is time to send.
  void receive() {
    for (auto* result = stream_.next_result(); result;
         result = stream_.next_result(std::chrono::milliseconds(0))) {
      expected_.ended(*result);
      if (result->tag % stride_ == 0) times_.push_back(seconds_since(sent_at_[result->tag / stride_]));
      ++received_;
      if (received_ == count_ || sent_ - received_ + batch_ <= window_) return;
    }
  }

  static poold::StreamOptions options() {
    poold::StreamOptions options;
    options.cancel_on_close = true;
    return options;
  }

  const Work& work_;
  std::size_t window_, count_;
  // More is sent when this many places are free: half of a small window, so that frames travel together;
  // little of a large one, so that as many tasks are queued all the time.
  std::size_t batch_;
  std::size_t stride_;
  poold::PolledStream stream_{options()};
  Expected expected_;
  std::vector<Clock::time_point> sent_at_;
  std::vector<double> times_;
  std::size_t sent_ = 0, received_ = 0;
};

void print_rate(std::size_t count, Clock::time_point begin) {
  std::printf("tasks_per_s %.0f\n", static_cast<double>(count) / seconds_since(begin));
}

void measure_one(const Work& work, const Request& request) {
  Client client(work, request, request.count);
  if (request.work == "mixed") client.send_long_one();
  const auto begin = Clock::now();
  client.run(true);
  print_rate(request.count, begin);
  print_percentiles(client.times());
}

void measure_full(const Work& work, const Request& request) {
  Client client(work, request, request.count);
  client.fill();
  std::cout << "full" << std::endl;
  std::string line;
  if (!std::getline(std::cin, line)) throw std::runtime_error("--full waits for a line of standard input");
  const auto begin = Clock::now();
  client.run(false);
  print_rate(client.received(), begin);
  client.run(true);
}

void measure_several(const Work& work, const Request& request) {
  const std::size_t share = request.count / request.clients;
  std::barrier together(static_cast<std::ptrdiff_t>(request.clients + 1));
  std::vector<std::unique_ptr<Client>> clients;
  for (std::size_t i = 0; i < request.clients; ++i)
    clients.push_back(std::make_unique<Client>(work, request, share));
  std::vector<std::future<void>> runs;
  for (const auto& client : clients)
    runs.push_back(std::async(std::launch::async, [&] {
      together.arrive_and_wait();
      client->run(true);
    }));
  together.arrive_and_wait();
  const auto begin = Clock::now();
  for (auto& run : runs) run.get();
  print_rate(share * request.clients, begin);
  std::vector<double> times;
  for (const auto& client : clients)
    times.insert(times.end(), client->times().begin(), client->times().end());
  print_percentiles(std::move(times));
}

std::size_t number(const std::string& text) {
  std::size_t used = 0;
  const unsigned long value = std::stoul(text, &used);
  if (used != text.size() || value == 0)
    throw std::invalid_argument("a number above 0 is wanted, not " + text);
  return value;
}

Request parse(const std::vector<std::string>& words) {
  Request request;
  std::vector<std::string> plain;
  for (std::size_t i = 0; i < words.size(); ++i) {
    if (words[i] == "--full")
      request.full = true;
    else if (words[i] == "--clients" && i + 1 < words.size())
      request.clients = number(words[++i]);
    else
      plain.push_back(words[i]);
  }
  if (plain.size() != 3 && plain.size() != 4)
    throw std::invalid_argument("WORK, WINDOW and COUNT are wanted");
  request.work = plain[0];
  request.window = number(plain[1]);
  request.count = number(plain[2]);
  if (plain.size() == 4) request.size = number(plain[3]);
  if (request.clients > request.count) throw std::invalid_argument("more clients than tasks");
  return request;
}

}  // namespace

int main(int argc, char** argv) try {
  const Request request = parse({argv + 1, argv + argc});
  const Work work = make_work(request.work, request.size);
  if (request.full)
    measure_full(work, request);
  else if (request.clients > 1)
    measure_several(work, request);
  else
    measure_one(work, request);
  return 0;
} catch (const std::invalid_argument& error) {
  std::fprintf(stderr,
               "stream_bench: %s\nusage: stream_bench %s WINDOW COUNT [SIZE] [--clients N] [--full]\n",
               error.what(), work_names.data());
  return 2;
} catch (const std::exception& error) {
  std::fprintf(stderr, "stream_bench: %s\n", error.what());
  return 1;
}
