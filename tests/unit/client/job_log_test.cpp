// The joblog of poolctl map: its lines, and what they say to the next run.
#include "client/cli/job_log.hpp"

#include <gtest/gtest.h>
#include <stdlib.h>

#include <filesystem>
#include <fstream>
#include <sstream>

#include "client/cli/reading.hpp"

namespace poold::cli {
namespace {

using Mode = JobLog::Mode;

class JobLogTest : public testing::Test {
 protected:
  JobLogTest() {
    std::string name = std::filesystem::temp_directory_path() / "job-log-XXXXXX";
    directory_ = ::mkdtemp(name.data());
    path_ = directory_ / "log";
  }
  ~JobLogTest() override { std::filesystem::remove_all(directory_); }

  std::string text() const {
    std::ostringstream out;
    out << std::ifstream(path_).rdbuf();
    return out.str();
  }
  void write(const std::string& text) const { std::ofstream(path_) << text; }
  bool run_file() const { return std::filesystem::exists(path_ + ".run"); }

  static JobLogEntry entry(std::uint64_t seq, int exit_code, const std::string& line, int signal = 0) {
    JobLogEntry made;
    made.seq = seq;
    made.exit_code = exit_code;
    made.signal = signal;
    made.line = line;
    return made;
  }

  std::filesystem::path directory_;
  std::string path_;
};

constexpr const char* titles = "Seq\tHost\tStarttime\tJobRuntime\tSend\tReceive\tExitval\tSignal\tCommand\n";

TEST_F(JobLogTest, LinesAreGnuParallels) {
  JobLogEntry made = entry(7, 3, "sh -c 'exit 3'");
  made.start = std::chrono::system_clock::time_point(std::chrono::milliseconds(1'434'019'054'013));
  made.run_time = std::chrono::milliseconds(1007);
  made.receive_bytes = 12;
  const std::string line = format_entry(made);
  EXPECT_EQ(line, "7\t:\t1434019054.013\t     1.007\t0\t12\t3\t0\tsh -c 'exit 3'\n");
  const auto read = parse_entry(line.substr(0, line.size() - 1));
  ASSERT_TRUE(read);
  EXPECT_EQ(read->seq, 7u);
  EXPECT_EQ(read->exit_code, 3);
  EXPECT_EQ(read->line, "sh -c 'exit 3'");
  for (const char* wrong : {"", "7", "x\t:\t0\t0\t0\t0\t0\t0\techo", "7\t:\t0\t0\t0\t0\tx\t0\techo"})
    EXPECT_FALSE(parse_entry(wrong)) << wrong;
}

TEST_F(JobLogTest, AFreshOneOverwrites) {
  write("what was there\n");
  JobLog log(path_, Mode::fresh);
  EXPECT_EQ(text(), titles);
  EXPECT_FALSE(log.has(1, "a"));
}

TEST_F(JobLogTest, ResumeSkipsWhatIsThereAndResumeFailedWhatSucceeded) {
  {
    JobLog log(path_, Mode::fresh);
    log.append(entry(2, 0, "b"));
    log.append(entry(1, 1, "a"));
    log.append(entry(4, 0, "d", 9));
    log.end_run();
  }
  {
    JobLog log(path_, Mode::resume);
    EXPECT_TRUE(log.has(1, "a"));
    EXPECT_TRUE(log.has(2, "b"));
    EXPECT_FALSE(log.has(3, "c"));
    EXPECT_TRUE(log.has(4, "d"));
    EXPECT_FALSE(log.has(5, "e"));
  }
  JobLog log(path_, Mode::resume_failed);
  EXPECT_FALSE(log.has(1, "a"));
  EXPECT_TRUE(log.has(2, "b"));
  EXPECT_FALSE(log.has(4, "d"));
}

TEST_F(JobLogTest, TheLastEntryCounts) {
  {
    JobLog log(path_, Mode::fresh);
    log.append(entry(1, 1, "a"));
    log.append(entry(1, 0, "a"));
  }
  JobLog log(path_, Mode::resume_failed);
  EXPECT_TRUE(log.has(1, "a"));
  EXPECT_EQ(log.entries(), 2u);
}

TEST_F(JobLogTest, AnotherCommandIsRefused) {
  {
    JobLog log(path_, Mode::fresh);
    log.append(entry(1, 0, "a"));
  }
  JobLog log(path_, Mode::resume);
  EXPECT_THROW(log.has(1, "b"), UsageError);
}

TEST_F(JobLogTest, WhatIsNoJoblogIsRefusedAndLeftAlone) {
  for (const std::string wrong : {"hello\n", "1\t:\t0\t0\t0\t0\t0\t0\techo\n"}) {
    write(wrong);
    EXPECT_THROW(JobLog(path_, Mode::resume), UsageError) << wrong;
    EXPECT_EQ(text(), wrong);
  }
}

TEST_F(JobLogTest, ALineThatWasBeingWrittenIsCutOff) {
  write(titles + format_entry(entry(1, 0, "a")) + "2\t:\t0\t0\t0\t0\t0\t0\tec");
  JobLog log(path_, Mode::resume);
  EXPECT_TRUE(log.has(1, "a"));
  EXPECT_FALSE(log.has(2, "echo"));
  EXPECT_EQ(text(), titles + format_entry(entry(1, 0, "a")));
}

TEST_F(JobLogTest, AKilledRunsKeysAreUsedAgain) {
  std::string key;
  {
    JobLog log(path_, Mode::fresh);
    EXPECT_FALSE(log.recovering());
    key = log.key(1, 0, 0);
    EXPECT_TRUE(run_file());
  }  // and no end_run()
  JobLog log(path_, Mode::resume);
  EXPECT_TRUE(log.recovering());
  EXPECT_EQ(log.key(1, 0, 0), key);
  EXPECT_NE(log.key(1, 1, 0), key);
  EXPECT_NE(log.key(1, 0, 1), key);
  EXPECT_NE(log.key(2, 0, 0), key);
}

TEST_F(JobLogTest, AfterAnOrderlyEndThereAreNewKeys) {
  std::string key;
  {
    JobLog log(path_, Mode::fresh);
    key = log.key(1, 0, 0);
    log.end_run();
    EXPECT_FALSE(run_file());
  }
  JobLog log(path_, Mode::resume);
  EXPECT_FALSE(log.recovering());
  EXPECT_NE(log.key(1, 0, 0), key);
}

TEST_F(JobLogTest, AFreshRunForgetsAKilledOne) {
  const std::string key = JobLog(path_, Mode::fresh).key(1, 0, 0);
  const JobLog log(path_, Mode::fresh);
  EXPECT_FALSE(log.recovering());
  EXPECT_NE(log.key(1, 0, 0), key);
}

TEST_F(JobLogTest, OneAtATime) {
  const JobLog first(path_, Mode::fresh);
  EXPECT_THROW(JobLog(path_, Mode::resume), UsageError);
}

TEST_F(JobLogTest, APlaceThatCannotBeReadCanBeWrittenToButNotResumedFrom) {
  JobLog log("/dev/null", Mode::fresh);
  log.append(entry(1, 0, "a"));
  EXPECT_EQ(log.key(1, 0, 0), "");
  EXPECT_THROW(JobLog("/dev/null", Mode::resume), UsageError);
}

}  // namespace
}  // namespace poold::cli
