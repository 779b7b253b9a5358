// limit: named limits and their sizes.
#include <charconv>

#include "client/cli/reading.hpp"
#include "client/cli/text.hpp"
#include "client/cli/verbs.hpp"
#include "poold/v1/limits.pb.h"

namespace poold::cli {
namespace {

struct LimitOptions {
  std::string name;
  std::uint32_t size = 1;
  std::string rate;
  std::uint32_t burst = 0;
};

// "10/s", "100/m", "5/10s".
void read_rate(const std::string& text, v1::Rate& rate) {
  const char* accepted = " (accepted: such as 10/s, 100/m, 5/10s)";
  const std::size_t slash = text.find('/');
  std::uint32_t count = 0;
  if (slash == text.npos || slash == 0) throw UsageError("--rate " + text + ": not a rate" + accepted);
  const auto [end, error] = std::from_chars(text.data(), text.data() + slash, count);
  if (error != std::errc() || end != text.data() + slash || count == 0)
    throw UsageError("--rate " + text + ": not a rate" + accepted);
  std::string per = text.substr(slash + 1);
  if (!per.empty() && !std::isdigit(static_cast<unsigned char>(per[0]))) per = "1" + per;
  std::chrono::milliseconds time{};
  try {
    time = read_duration(per);
  } catch (const UsageError&) {
    throw UsageError("--rate " + text + ": not a rate" + accepted);
  }
  rate.set_count(count);
  rate.mutable_per()->set_seconds(time.count() / 1000);
  rate.mutable_per()->set_nanos(static_cast<std::int32_t>(time.count() % 1000 * 1'000'000));
}

std::string rate_text(const v1::Limit& limit) {
  if (!limit.has_rate()) return "";
  const auto& per = limit.rate().per();
  const auto time = std::chrono::milliseconds(per.seconds() * 1000 + per.nanos() / 1'000'000);
  const std::string unit = time == std::chrono::seconds(1)   ? "s"
                           : time == std::chrono::minutes(1) ? "m"
                           : time.count() % 1000 == 0        ? std::to_string(time.count() / 1000) + "s"
                                                             : std::to_string(time.count()) + "ms";
  std::string text = std::to_string(limit.rate().count()) + "/" + unit;
  if (limit.rate().burst() > 1) text += " burst " + std::to_string(limit.rate().burst());
  return text;
}

int limit_ls(Context& context) {
  v1::ListLimitsResponse response;
  context.call("poold.v1.Limits/List", v1::ListLimitsRequest(), response);
  if (context.format() == Format::ndjson)
    for (const v1::Limit& limit : response.limits()) print(to_json(limit) + "\n");
  if (context.format() != Format::table) return 0;
  Table table({{"NAME", false, true}, {"SIZE", true}, {"USED", true}, {"WAITING", true}, {"RATE"}, {"SET"}},
              context.screen());
  std::vector<Row> rows;
  for (const v1::Limit& limit : response.limits())
    rows.push_back({{escaped_line(limit.name())},
                    {std::to_string(limit.size())},
                    {std::to_string(limit.used())},
                    {std::to_string(limit.waiting())},
                    {rate_text(limit)},
                    {limit.set() ? "yes" : "no"}});
  print(table.format(rows));
  return 0;
}

int limit_set(Context& context, const LimitOptions& options) {
  v1::SetLimitRequest request;
  request.set_name(options.name);
  request.set_size(options.size);
  if (options.rate.empty() && options.burst > 0) throw UsageError("--burst needs --rate");
  if (!options.rate.empty()) {
    read_rate(options.rate, *request.mutable_rate());
    request.mutable_rate()->set_burst(options.burst);
  }
  v1::SetLimitResponse response;
  context.call("poold.v1.Limits/Set", request, response);
  return 0;
}

int limit_rm(Context& context, const std::vector<std::string>& names) {
  for (const std::string& name : names) {
    v1::RemoveLimitRequest request;
    request.set_name(name);
    v1::RemoveLimitResponse response;
    context.call("poold.v1.Limits/Remove", request, response);
  }
  return 0;
}

}  // namespace

void add_limit(CLI::App& app, Context& context) {
  CLI::App* noun = app.add_subcommand("limit", "Named limits: ls, set, rm");
  noun->group(group_administration);
  noun->require_subcommand(1);
  CLI::App* list =
      noun->add_subcommand("ls", "List limits that are set or named by tasks")->group(group_verbs);
  list->callback([&context] { context.action = [&context] { return limit_ls(context); }; });

  const auto options = std::make_shared<LimitOptions>();
  CLI::App* set =
      noun->add_subcommand("set", "Set how many tasks that name a limit run at once")->group(group_verbs);
  set->add_option("NAME", options->name, "Name of the limit")->required();
  set->add_option("SIZE", options->size, "Tokens, 0 to 1000000; 0 lets no task start")->required();
  set->add_option("--rate", options->rate, "Starts in a time, such as 10/s or 100/m")->type_name("RATE");
  set->add_option("--burst", options->burst, "So many at once after a pause (default: 1)")->type_name("N");
  set->callback(
      [&context, options] { context.action = [&context, options] { return limit_set(context, *options); }; });

  const auto names = std::make_shared<std::vector<std::string>>();
  CLI::App* remove = noun->add_subcommand("rm", "Take limits back to one token")->group(group_verbs);
  remove->add_option("NAME", *names, "Names of limits")->required();
  remove->callback(
      [&context, names] { context.action = [&context, names] { return limit_rm(context, *names); }; });
}

}  // namespace poold::cli
