#include <gmock/gmock.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "tests/unit/settings/parsed.hpp"

namespace poold::settings {
namespace {

using testing::HasSubstr;

// A directory that goes away, and the environment as it was before.
class ConfigurationFile : public testing::Test {
 protected:
  ConfigurationFile() {
    std::string name = testing::TempDir() + "poold-settings-XXXXXX";
    directory_ = ::mkdtemp(name.data());
  }
  ~ConfigurationFile() override { std::filesystem::remove_all(directory_); }

  std::string write(const std::string& name, std::string_view text) {
    const auto path = directory_ / name;
    std::filesystem::create_directories(path.parent_path());
    std::ofstream(path, std::ios::binary) << text;
    return path;
  }

  std::filesystem::path directory_;
};

TEST_F(ConfigurationFile, IsReadAsItIs) {
  EXPECT_EQ(std::get<std::string>(read_file(write("a.yaml", std::string(50'000, 'x')))),
            std::string(50'000, 'x'));
  EXPECT_EQ(std::get<std::string>(read_file(write("b.yaml", ""))), "");
}

TEST_F(ConfigurationFile, AsLargeAsAllowedAndOneByteMore) {
  EXPECT_EQ(std::get<std::string>(read_file(write("a.yaml", std::string(text_size_max, 'x')))).size(),
            text_size_max);
  const std::string path = write("b.yaml", std::string(text_size_max + 1, 'x'));
  EXPECT_EQ(to_string(std::get<Error>(read_file(path))), path + ": larger than 1 MiB");
}

TEST_F(ConfigurationFile, ThatCannotBeReadSaysWhy) {
  const std::string missing = directory_ / "missing.yaml";
  EXPECT_EQ(to_string(std::get<Error>(read_file(missing))), missing + ": No such file or directory");
  EXPECT_THAT(to_string(std::get<Error>(read_file(directory_))), HasSubstr("Is a directory"));
}

TEST_F(ConfigurationFile, IsFoundInTheUsersDirectoryFirst) {
  ::setenv("XDG_CONFIG_HOME", directory_.c_str(), 1);
  const std::string before = default_path();
  EXPECT_NE(before, directory_ / "poold/poold.yaml");
  write("poold/poold.yaml", "");
  EXPECT_EQ(default_path(), directory_ / "poold/poold.yaml");
  ::unsetenv("XDG_CONFIG_HOME");
  write(".config/poold/poold.yaml", "");
  ::setenv("HOME", directory_.c_str(), 1);
  EXPECT_EQ(default_path(), directory_ / ".config/poold/poold.yaml");
}

}  // namespace
}  // namespace poold::settings
