// Short forms of parse() for the tests of this folder.
#pragma once

#include <gtest/gtest.h>

#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "daemon/settings/settings.hpp"

namespace poold::settings {

// The settings; a text that is refused fails the test.
inline Settings accepted(std::string_view text) {
  const Result result = parse(text, "poold.yaml");
  if (const auto* errors = std::get_if<Errors>(&result)) {
    for (const Error& error : *errors) ADD_FAILURE() << to_string(error);
    return {};
  }
  return std::get<Settings>(result);
}

// The only pool of the settings.
inline Pool accepted_pool(std::string_view text) {
  const Settings settings = accepted(text);
  EXPECT_EQ(settings.pools.size(), 1u);
  return settings.pools.empty() ? Pool{} : settings.pools.front();
}

// What is wrong, as people see it; nothing if the text is accepted.
inline std::vector<std::string> refused(std::string_view text) {
  std::vector<std::string> lines;
  const Result result = parse(text, "poold.yaml");
  if (const auto* errors = std::get_if<Errors>(&result))
    for (const Error& error : *errors) lines.push_back(to_string(error));
  return lines;
}

}  // namespace poold::settings
