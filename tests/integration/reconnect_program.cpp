// A C++ program that follows tasks while the engine dies under it; test_reconnect.py starts it.
//
//   run SCRIPT         runs a command, and prints its output as it comes
//   wait ID            prints the task's state when it has ended
//   stream KEY SCRIPT  submits two commands over a stream, one with this key and one without, and prints what
//                      became of them; then the same with another key
#include <poold/client.hpp>

#include <cstdio>
#include <iostream>
#include <string>
#include <string_view>
#include <vector>

namespace {

int run(const poold::Command& command) {
  poold::Client client;
  const poold::Outcome outcome =
      client.run(command, {}, [](const poold::Output& output) { std::cout << output.data << std::flush; });
  return outcome.exit_code.value_or(255);
}

int wait(const std::string& id) {
  poold::Client client;
  std::cout << to_string(client.wait(id).state) << "\n";
  return 0;
}

void print(const char* which, std::future<poold::Outcome>& future) {
  std::cout << which << ": ";
  try {
    std::cout << future.get().exit_code.value_or(255) << std::endl;
  } catch (const poold::Error& error) {
    std::cout << error.what() << std::endl;
  }
}

int stream(const std::string& key, const poold::Command& command) {
  poold::Stream stream(poold::StreamOptions{.cancel_on_close = true});
  auto with_key = stream.submit(poold::TaskSpec(command, {.key = key}));
  auto without = stream.submit(command);
  print("without", without);
  print("with", with_key);
  auto later = stream.submit(poold::TaskSpec(command, {.key = key + "later"}));
  print("later", later);
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  const std::vector<std::string> words(argv + 1, argv + argc);
  try {
    if (words.size() == 2 && words[0] == "run") return run({{"sh", "-c", words[1]}});
    if (words.size() == 2 && words[0] == "wait") return wait(words[1]);
    if (words.size() == 3 && words[0] == "stream") return stream(words[1], {{"sh", "-c", words[2]}});
  } catch (const poold::Error& error) {
    std::cout << to_string(error.code()) << ": " << error.what() << "\n";
    return 1;
  }
  std::fputs("see the head of reconnect_program.cpp\n", stderr);
  return 2;
}
