#include "client/cli/task_template.hpp"

#include <algorithm>

#include "client/cli/reading.hpp"
#include "client/cli/text.hpp"
#include "common/overloaded.hpp"

namespace poold::cli {
namespace {

constexpr std::string_view place = "{}";

bool has_place(std::string_view text) { return text.find(place) != std::string_view::npos; }
bool any_has_place(const Words& words) { return std::any_of(words.begin(), words.end(), has_place); }

bool uses_item(const Command& command) {
  return any_has_place(command.argv) || has_place(command.cwd) ||
         std::any_of(command.env.begin(), command.env.end(),
                     [](const auto& entry) { return has_place(entry.second); });
}

bool uses_item(const CallWords& call) {
  return any_has_place(call.args) || std::any_of(call.kwargs.begin(), call.kwargs.end(),
                                                 [](const auto& entry) { return has_place(entry.second); });
}

}  // namespace

std::string filled(std::string_view text, std::string_view item) {
  std::string out;
  for (;;) {
    const std::size_t at = text.find(place);
    out.append(text.substr(0, at));
    if (at == std::string_view::npos) return out;
    out.append(item);
    text.remove_prefix(at + place.size());
  }
}

TaskTemplate::TaskTemplate(Work work, SubmitOptions options)
    : work_(std::move(work)), options_(std::move(options)) {
  options_have_place_ = has_place(options_.name) || has_place(options_.key) ||
                        std::any_of(options_.labels.begin(), options_.labels.end(), [](const auto& label) {
                          return has_place(label.first) || has_place(label.second);
                        });
  append_item_ = !std::visit([](const auto& any) { return uses_item(any); }, work_);
}

SubmitOptions TaskTemplate::filled_options(std::string_view item) const {
  SubmitOptions options = options_;
  if (!options_have_place_) return options;
  options.name = filled(options.name, item);
  options.key = filled(options.key, item);
  options.labels.clear();
  for (const auto& [label, value] : options_.labels)
    options.labels[filled(label, item)] = filled(value, item);
  return options;
}

Words TaskTemplate::filled_words(const Words& words, std::string_view item) const {
  Words result;
  result.reserve(words.size() + 1);
  for (const std::string& word : words) result.push_back(filled(word, item));
  if (append_item_) result.emplace_back(item);
  return result;
}

TaskSpec TaskTemplate::make(std::string_view item, const std::string& key) const {
  SubmitOptions options = filled_options(item);
  if (!key.empty()) options.key = key;
  return std::visit(Overloaded{
                        [&](const Command& pattern) {
                          Command command = pattern;
                          command.argv = filled_words(pattern.argv, item);
                          command.cwd = filled(pattern.cwd, item);
                          for (auto& [name, value] : command.env) value = filled(value, item);
                          return TaskSpec(command, options);
                        },
                        [&](const CallWords& pattern) {
                          Function call;
                          call.name = pattern.name;
                          for (const std::string& word : filled_words(pattern.args, item))
                            call.args.push_back(read_value(word));
                          for (const auto& [name, text] : pattern.kwargs)
                            call.kwargs[name] = read_value(filled(text, item));
                          return TaskSpec(call, options);
                        },
                    },
                    work_);
}

std::string TaskTemplate::line(std::string_view item) const {
  return std::visit(
      Overloaded{
          [&](const Command& command) { return shell_quoted(filled_words(command.argv, item)); },
          [&](const CallWords& call) {
            std::string text = call.name + "(";
            std::string_view separator;
            const auto add = [&](const std::string& argument) {
              text.append(separator).append(argument);
              separator = ", ";
            };
            for (const std::string& word : filled_words(call.args, item)) add(word);
            for (const auto& [name, value] : call.kwargs) add(name + "=" + filled(value, item));
            return escaped_line(text + ")");
          },
      },
      work_);
}

}  // namespace poold::cli
