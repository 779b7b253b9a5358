// Small programs with processes, pools, pipes, queues, shared memory, signals and semaphores, one after
// another in main(). `notes worker` is the program of the pool `notes`, in which their functions run:
//
//   pools: {notes: {kind: function, program: [/usr/local/bin/notes, worker], workers: 2}}
#include <unistd.h>

#include <atomic>
#include <csignal>
#include <iostream>
#include <map>
#include <numeric>
#include <thread>

#include <poold/client.hpp>
#include <poold/multiprocessing.hpp>
#include <poold/process.hpp>
#include <poold/worker.hpp>

namespace mp = poold::multiprocessing;
using poold::Value;

namespace {

// --- What runs in the workers ---

std::atomic<bool> asked_to_stop = false;

std::string greet(const poold::Arguments& arguments) {
  const auto greeting = arguments.keyword.find("greeting");
  return (greeting == arguments.keyword.end() ? "Hello" : greeting->second.as_string()) + ", " +
         arguments.positional.at(0).as_string();
}

// A process as a class: tells the time every so many milliseconds, so often.
struct Clock : poold::ProcessClass {
  void run(const poold::Arguments& arguments) override {
    auto times = mp::Queue::open(arguments.positional.at(0).as_string());
    const auto period = std::chrono::milliseconds(arguments.positional.at(1).as_integer());
    for (std::int64_t left = arguments.positional.at(2).as_integer(); left > 0; --left) {
      times.put_value(static_cast<std::int64_t>(std::time(nullptr)));
      if (left > 1) poold::sleep_unless_cancelled(period);
    }
  }
};

void send(const std::string& pipe, std::int64_t number) {
  mp::Connection(pipe).send("from process " + std::to_string(number));
}

void produce(const std::string& queue, std::int64_t count) {
  auto out = mp::Queue::open(queue);
  for (std::int64_t i = 0; i < count; ++i) out.put_value(i);
  out.put_value(nullptr);
}

std::int64_t consume(const std::string& queue) {
  auto in = mp::Queue::open(queue);
  std::int64_t sum = 0;
  for (;;) {
    const Value value = in.get_value().value();
    if (value.is_null()) return sum;
    sum += value.as_integer();
  }
}

void fill(const std::string& memory, std::int64_t begin, std::int64_t end) {
  const mp::SharedMemory shared(memory);
  const auto numbers = shared.as<std::int64_t>();
  for (std::int64_t i = begin; i < end; ++i) numbers[static_cast<std::size_t>(i)] = i * i;
}

// Works until it gets SIGTERM, or is cancelled, then finishes in its own way.
std::string work_until_asked(const std::string& queue) {
  std::signal(SIGTERM, [](int) { asked_to_stop = true; });
  mp::Queue::open(queue).put("working");
  while (!asked_to_stop && !poold::cancelled()) poold::sleep_unless_cancelled(std::chrono::milliseconds(10));
  return "stopped politely";
}

// Says when it is in and when it leaves.
void visit(const std::string& semaphore, const std::string& log, std::int64_t number) {
  auto door = mp::Semaphore::open(semaphore);
  auto diary = mp::Queue::open(log);
  const std::scoped_lock guard(door);
  diary.put_value(number + 1);
  poold::sleep_unless_cancelled(std::chrono::milliseconds(20));
  diary.put_value(-(number + 1));
}

void answer(const std::string& pipe) {
  mp::Connection connection(pipe);
  while (connection.poll({})) {
    const std::string question = connection.receive();
    if (question == "bye") return;
    connection.send(question + "? " + std::to_string(question.size()) + " letters");
  }
}

// --- What the programs do ---

mp::Process process(const std::string& function, Value::List args = {}, Value::Map kwargs = {},
                    bool daemon = false) {
  return mp::Process(poold::Function{function, std::move(args), std::move(kwargs), {}},
                     {.pool = "notes", .name = function, .daemon = daemon, .socket = {}});
}

void process_with_arguments() {
  auto greeter = process("greet", {"Ann"}, {{"greeting", "Good day"}});
  greeter.start();
  greeter.join();
  std::cout << "exit code " << *greeter.exit_code() << "\n";
}

void name_pid_and_life() {
  mp::Queue queue;
  auto worker = process("work_until_asked", {queue.name()});
  std::cout << "alive before: " << worker.is_alive() << "\n";
  worker.start();
  queue.get();
  std::cout << worker.name() << " alive: " << worker.is_alive()
            << ", own pid: " << (worker.pid() > 1 && worker.pid() != ::getpid()) << "\n";
  worker.kill();
  worker.join();
  std::cout << "exit code " << *worker.exit_code() << "\n";
}

// It ends with this block, as it would with this program.
void daemon_process() {
  mp::Queue queue;
  std::string id;
  {
    auto worker = process("work_until_asked", {queue.name()}, {}, true);
    worker.start();
    queue.get();
    id = worker.id();
  }
  poold::Client client;
  std::cout << "daemon: " << poold::to_string(client.wait(id).state) << "\n";
}

void process_class() {
  mp::Queue times;
  auto clock = process("clock", {times.name(), 20, 3});
  clock.start();
  std::int64_t before = 0;
  for (int i = 0; i < 3; ++i) {
    const std::int64_t now = times.get_value().value().as_integer();
    std::cout << "tick " << (now >= before) << "\n";
    before = now;
  }
  clock.join();
}

void pool_of_ten() {
  mp::Pool pool({.pool = "notes", .of_template = {}, .workers = 0, .socket = {}});
  std::vector<std::future<Value>> results;
  std::atomic<int> called = 0;
  for (int i = 0; i < 10; ++i)
    results.push_back(pool.apply_async("square", {i}, {}, [&](const Value&) { ++called; }));
  pool.close();
  pool.join();
  for (auto& result : results) std::cout << result.get().as_integer() << " ";
  std::cout << "and " << called << " callbacks\n";
  mp::Pool other({.pool = "notes", .of_template = {}, .workers = 0, .socket = {}});
  std::cout << "map:";
  for (const Value& value : other.map("square", {1, 2, 3})) std::cout << " " << value.as_integer();
  std::cout << ", starmap:";
  for (const Value& value : other.starmap("power", {{2, 3}, {3, 2}})) std::cout << " " << value.as_integer();
  std::cout << "\n";
  try {
    other.apply("crash");
  } catch (const poold::RemoteError& error) {
    std::cout << "crash: " << poold::to_string(error.outcome().kind) << "\n";
  }
}

void five_processes_and_a_pipe() {
  auto [receiver, sender] = mp::Pipe(false);
  std::vector<mp::Process> processes;
  for (int i = 0; i < 5; ++i) processes.push_back(process("send", {sender.reference(), i}));
  for (mp::Process& one : processes) one.start();
  std::vector<std::string> received;
  for (int i = 0; i < 5; ++i) received.push_back(receiver.receive());
  std::sort(received.begin(), received.end());
  for (const std::string& text : received) std::cout << text << "\n";
  for (mp::Process& one : processes) one.join();
}

void simplex_pipe() {
  auto [receiver, sender] = mp::Pipe(false);
  sender.send("one way");
  sender.close();
  std::cout << receiver.receive() << "\n";
  try {
    receiver.receive();
  } catch (const poold::Error& error) {
    std::cout << "then " << poold::to_string(error.code()) << "\n";
  }
}

void producer_and_consumer() {
  mp::Queue queue({.name = {}, .length_max = 4, .socket = {}});
  auto producer = process("produce", {queue.name(), 100});
  producer.start();
  mp::Pool pool({.pool = "notes", .of_template = {}, .workers = 0, .socket = {}});
  std::cout << "sum " << pool.apply("consume", {queue.name()}).as_integer() << "\n";
  producer.join();
}

void shared_array() {
  const mp::SharedMemory memory(1000 * sizeof(std::int64_t));
  auto first = process("fill", {memory.name(), 0, 500}), second = process("fill", {memory.name(), 500, 1000});
  first.start();
  second.start();
  first.join();
  second.join();
  const auto numbers = memory.as<std::int64_t>();
  std::cout << "sum of squares " << std::accumulate(numbers.begin(), numbers.end(), std::int64_t{0}) << "\n";
}

void polite_end() {
  mp::Queue queue;
  auto worker = process("work_until_asked", {queue.name()});
  worker.start();
  queue.get();
  worker.terminate();
  worker.join();
  std::cout << "politely: " << *worker.exit_code() << "\n";
}

void two_of_five() {
  mp::Semaphore door({.name = {}, .permits = 2, .permits_max = 2, .socket = {}});
  mp::Queue diary;
  std::vector<mp::Process> visitors;
  for (int i = 0; i < 5; ++i) visitors.push_back(process("visit", {door.name(), diary.name(), i}));
  for (mp::Process& visitor : visitors) visitor.start();
  int inside = 0, most = 0;
  for (int i = 0; i < 10; ++i) {
    inside += diary.get_value().value().as_integer() > 0 ? 1 : -1;
    most = std::max(most, inside);
  }
  for (mp::Process& visitor : visitors) visitor.join();
  std::cout << "at most two: " << (most <= 2) << ", left inside: " << inside << "\n";
}

void conversation() {
  auto [here, there] = mp::Pipe();
  auto other = process("answer", {there.reference()});
  other.start();
  here.send("butterfly");
  std::cout << here.receive() << "\n";
  here.send("bye");
  other.join();
  std::cout << "exit code " << *other.exit_code() << "\n";
}

const std::map<std::string, void (*)()> programs = {
    {"process", process_with_arguments},
    {"life", name_pid_and_life},
    {"daemon", daemon_process},
    {"class", process_class},
    {"pool", pool_of_ten},
    {"pipe", five_processes_and_a_pipe},
    {"simplex", simplex_pipe},
    {"queue", producer_and_consumer},
    {"memory", shared_array},
    {"signal", polite_end},
    {"semaphore", two_of_five},
    {"conversation", conversation},
};

}  // namespace

POOLD_FUNCTION("greet", greet);
POOLD_PROCESS("clock", Clock);
POOLD_FUNCTION("send", send);
POOLD_FUNCTION("produce", produce);
POOLD_FUNCTION("consume", consume);
POOLD_FUNCTION("fill", fill);
POOLD_FUNCTION("work_until_asked", work_until_asked);
POOLD_FUNCTION("visit", visit);
POOLD_FUNCTION("answer", answer);
POOLD_FUNCTION("square", [](std::int64_t number) { return number * number; });
POOLD_FUNCTION("power", [](std::int64_t base, std::int64_t exponent) {
  std::int64_t result = 1;
  for (; exponent > 0; --exponent) result *= base;
  return result;
});
POOLD_FUNCTION("crash", [] { std::raise(SIGKILL); });

int main(int count, char** words) {
  const std::string name = count == 2 ? words[1] : "";
  if (name == "worker") return poold::serve();
  const auto program = programs.find(name);
  if (program == programs.end()) {
    std::cerr << "usage: notes worker, or one of:";
    for (const auto& [known, run] : programs) std::cerr << " " << known;
    std::cerr << "\n";
    return 2;
  }
  try {
    program->second();
    return 0;
  } catch (const std::exception& error) {
    std::cerr << "notes: " << error.what() << "\n";
    return 1;
  }
}
