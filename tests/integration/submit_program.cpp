// Submits `true` with options given as FIELD=VALUE, named as in poold.v1.TaskSpec: how a C++ program says
// what test_submit_options.py says in other ways, too. Times are nanoseconds, `at` is seconds since 1970;
// FIELD may be repeated where it holds several. Prints the id and ends with 0; or prints the code and the
// message of the error and ends with 1.
#include <poold/client.hpp>

#include <cstdio>
#include <functional>
#include <iostream>
#include <map>
#include <stdexcept>
#include <string>

namespace {

using Read = std::function<void(const std::string& value)>;

std::chrono::nanoseconds time_of(const std::string& text) {
  return std::chrono::nanoseconds(std::stoll(text));
}

std::pair<std::string, std::string> pair_of(const std::string& text) {
  const std::size_t equals = text.find('=');
  return {text.substr(0, equals), text.substr(equals + 1)};
}

// A field without a line here is one that a C++ program cannot say.
std::map<std::string, Read> readers(poold::SubmitOptions& options, poold::Command& command) {
  const auto number = [](const std::string& text) { return static_cast<std::uint32_t>(std::stoul(text)); };
  const auto pair = [](auto& into, auto read) {
    return [&into, read](const std::string& text) {
      const auto [key, value] = pair_of(text);
      into[key] = read(value);
    };
  };
  const auto as_it_is = [](const std::string& text) { return text; };
  return {
      {"pool", [&](auto& text) { options.pool = text; }},
      {"name", [&](auto& text) { options.name = text; }},
      {"key", [&](auto& text) { options.key = text; }},
      {"priority", [&](auto& text) { options.priority = std::stoi(text); }},
      {"attempts", [&, number](auto& text) { options.attempts = number(text); }},
      {"crash_attempts", [&, number](auto& text) { options.crash_attempts = number(text); }},
      {"labels", pair(options.labels, as_it_is)},
      {"delay", [&](auto& text) { options.delay = time_of(text); }},
      {"at", [&](auto& text) { options.at = poold::Time(std::chrono::seconds(std::stoll(text))); }},
      {"ttl", [&](auto& text) { options.time_to_live = time_of(text); }},
      {"after", [&](auto& text) { options.after.push_back(text); }},
      {"after_any", [&](auto& text) { options.after_any.push_back(text); }},
      {"on_parent_failure", [&](auto& text) { options.release_on_parent_failure = text == "release"; }},
      {"hold", [&](auto& text) { options.hold = text == "true"; }},
      {"group", [&](auto& text) { options.group = text; }},
      {"after_group", [&](auto& text) { options.after_group = text; }},
      {"when_full", [&](auto& text) { options.wait_for_room = text == "wait"; }},
      {"limits", pair(options.limits, number)},
      {"backoff", [&](auto& text) { options.backoff = time_of(text); }},
      {"backoff_max", [&](auto& text) { options.backoff_max = time_of(text); }},
      {"retry_on", [&](auto& text) { options.retry_on.push_back(text); }},
      {"timeout", [&](auto& text) { options.timeout = time_of(text); }},
      {"grace", [&](auto& text) { options.grace = time_of(text); }},
      {"deadline", [&](auto& text) { options.deadline = time_of(text); }},
      {"command.env", pair(command.env, as_it_is)},
      {"command.cwd", [&](auto& text) { command.cwd = text; }},
      {"command.stdin", [&](auto& text) { command.stdin_data = text; }},
  };
}

}  // namespace

int main(int argc, char** argv) {
  poold::SubmitOptions options;
  poold::Command command{{"true"}, {}, "/", {}};
  const auto known = readers(options, command);
  for (int i = 1; i < argc; ++i) {
    const auto [field, value] = pair_of(argv[i]);
    const auto reader = known.find(field);
    if (reader == known.end()) {
      std::cerr << "no such option: " << field << '\n';
      return 2;
    }
    reader->second(value);
  }
  try {
    poold::Client client;
    std::cout << client.submit(poold::TaskSpec(command, options)).id << '\n';
    return 0;
  } catch (const poold::Error& error) {
    std::cout << to_string(error.code()) << '\n' << error.what() << '\n';
  } catch (const std::invalid_argument& error) {
    std::cout << "std::invalid_argument\n" << error.what() << '\n';
  }
  return 1;
}
