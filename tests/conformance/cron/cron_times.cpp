// Tells when expressions are due: reads lines "EXPRESSION<tab>ZONE<tab>AFTER<tab>COUNT" and answers each with
// a line of times in seconds since 1970, or "error: ...". For test_cron.py.
#include <iostream>
#include <sstream>
#include <string>

#include "common/cron.hpp"
#include "common/time_zone_file.hpp"

namespace {

std::string answer(const std::string& line) {
  std::istringstream in(line);
  std::string text, zone_name, after, count;
  std::getline(in, text, '\t');
  std::getline(in, zone_name, '\t');
  std::getline(in, after, '\t');
  std::getline(in, count, '\t');
  const auto parsed = poold::Recurrence::parse(text);
  if (const auto* error = std::get_if<std::string>(&parsed)) return "error: " + *error;
  const auto zone = poold::load_time_zone(zone_name);
  if (const auto* error = std::get_if<std::string>(&zone)) return "error: " + *error;
  std::ostringstream out;
  std::int64_t time = std::stoll(after);
  const std::int64_t start = time;
  for (int i = std::stoi(count); i > 0; --i) {
    const auto next = std::get<poold::Recurrence>(parsed).next(time, start, std::get<poold::TimeZone>(zone));
    if (!next) break;
    time = *next;
    out << time << ' ';
  }
  return out.str();
}

}  // namespace

int main() {
  for (std::string line; std::getline(std::cin, line);) std::cout << answer(line) << '\n';
}
