// The attempt log: what is written comes back, the middle goes when it is too long, and no file harms its
// reader.
#include "common/attempt_log.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>
#include <optional>
#include <random>
#include <string>

namespace poold {
namespace {

class AttemptLog : public testing::Test {
 protected:
  AttemptLog() {
    std::string pattern = testing::TempDir() + "attempt_log_XXXXXX";
    directory = ::mkdtemp(pattern.data());
    path = attempt_log_path(directory, "id", 1);
  }
  ~AttemptLog() override { std::filesystem::remove_all(directory); }

  AttemptLogReader reader() const {
    return AttemptLogReader(FileDescriptor(::open(path.c_str(), O_RDONLY | O_CLOEXEC)));
  }

  // Everything from `offset` on, in reads of `limit` bytes; streams apart, skipped bytes counted.
  struct All {
    std::string out, err;
    std::uint64_t skipped = 0;
    std::string order;  // o, e and s for each piece
  };
  All read_all(std::uint64_t offset = 0, std::size_t limit = 1 << 20) const {
    All all;
    AttemptLogReader log = reader();
    for (;;) {
      const auto read = log.read(offset, limit);
      EXPECT_GE(read.next_offset, offset);
      if (read.pieces.empty() && read.next_offset == offset) return all;
      std::size_t bytes = 0;
      for (const auto& piece : read.pieces) {
        all.order += piece.skipped ? 's' : piece.stream == LogStream::out ? 'o' : 'e';
        all.skipped += piece.skipped;
        (piece.stream == LogStream::out ? all.out : all.err) += piece.data;
        bytes += piece.data.size();
      }
      EXPECT_LE(bytes, limit);
      offset = read.next_offset;
    }
  }

  void write_file(const std::string& bytes) const {
    FileDescriptor file(::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
    ASSERT_EQ(::write(file.get(), bytes.data(), bytes.size()), static_cast<ssize_t>(bytes.size()));
  }
  std::uint64_t bytes_on_disk() const {
    struct stat status {};
    EXPECT_EQ(::stat(path.c_str(), &status), 0);
    return static_cast<std::uint64_t>(status.st_blocks) * 512;
  }

  std::string directory;
  std::string path;
};

TEST_F(AttemptLog, NameHasTaskAndAttempt) { EXPECT_EQ(attempt_log_path("/d", "0192", 12), "/d/0192.12.log"); }

TEST_F(AttemptLog, SilentAttemptLeavesNoFile) {
  AttemptLogWriter writer(path, 64 << 20);
  EXPECT_FALSE(writer.append(LogStream::out, {}));
  writer.finish();
  EXPECT_FALSE(std::filesystem::exists(path));
}

TEST_F(AttemptLog, FirstOutputCreatesItForItsOwnerOnly) {
  AttemptLogWriter writer(path, 64 << 20);
  EXPECT_TRUE(writer.append(LogStream::out, std::string_view("a")));
  EXPECT_FALSE(writer.append(LogStream::out, std::string_view("b")));
  struct stat status {};
  ASSERT_EQ(::stat(path.c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777, 0600u);
}

TEST_F(AttemptLog, FileThatIsThereIsNotTouched) {
  write_file("precious");
  AttemptLogWriter writer(path, 64 << 20);
  EXPECT_FALSE(writer.append(LogStream::out, std::string_view("a")));
  EXPECT_EQ(writer.error(), EEXIST);
  EXPECT_EQ(writer.dropped(), 1u);
  EXPECT_EQ(std::filesystem::file_size(path), 8u);
}

TEST_F(AttemptLog, StreamsKeepTheirOrder) {
  AttemptLogWriter writer(path, 64 << 20);
  for (const char* text : {"1", "2"}) writer.append(LogStream::out, std::string_view(text));
  writer.append(LogStream::err, std::string_view("oops"));
  writer.append(LogStream::out, std::string_view("3"));
  const All all = read_all();
  EXPECT_EQ(all.out, "123");
  EXPECT_EQ(all.err, "oops");
  EXPECT_EQ(all.order, "oeo");
}

TEST_F(AttemptLog, PiecesOfEverySizeComeBackWhole) {
  std::mt19937 random(1);
  AttemptLogWriter writer(path, 64 << 20);
  std::string out, err;
  for (int i = 0; i < 400; ++i) {
    const std::size_t size = i % 3 ? random() % 50 + 1 : random() % 200'000;
    const std::string piece(size, static_cast<char>('a' + i % 26));
    const bool first = random() % 2;
    (first ? out : err) += piece;
    writer.append(first ? LogStream::out : LogStream::err, piece);
  }
  writer.finish();
  for (const std::size_t limit : {std::size_t{977}, std::size_t{65536}, std::size_t{8} << 20}) {
    const All all = read_all(0, limit);
    EXPECT_EQ(all.out == out, true) << limit;
    EXPECT_EQ(all.err == err, true) << limit;
    EXPECT_EQ(all.skipped, 0u);
  }
}

TEST_F(AttemptLog, ReaderGoesOnWhereTheWriterWasSlower) {
  AttemptLogWriter writer(path, 64 << 20);
  AttemptLogReader none = reader();
  EXPECT_TRUE(none.read(0, 100).pieces.empty());
  writer.append(LogStream::out, std::string_view("first"));
  AttemptLogReader log = reader();
  const auto first = log.read(0, 1000);
  ASSERT_EQ(first.pieces.size(), 1u);
  EXPECT_TRUE(log.read(first.next_offset, 1000).pieces.empty());
  EXPECT_EQ(log.read(first.next_offset, 1000).next_offset, first.next_offset);
  writer.append(LogStream::out, std::string_view("second"));
  const auto second = log.read(first.next_offset, 1000);
  ASSERT_EQ(second.pieces.size(), 1u);
  EXPECT_EQ(second.pieces[0].data, "second");
}

TEST_F(AttemptLog, TooLongKeepsFirstAndLastHalfAndCountsTheMiddle) {
  constexpr std::uint64_t size = 1 << 20;
  AttemptLogWriter writer(path, size);
  std::string all_out;
  for (int i = 0; i < 1000; ++i) {
    std::string piece(10'000, '.');
    piece.replace(0, 8, std::to_string(10'000'000 + i));
    all_out += piece;
    writer.append(LogStream::out, piece);
    if (i % 50 == 0) {
      EXPECT_LE(bytes_on_disk(), size);
    }
  }
  writer.finish();
  EXPECT_EQ(writer.dropped(), 0u);
  EXPECT_LE(bytes_on_disk(), size);
  const All all = read_all();
  EXPECT_EQ(all.order, "oso");
  EXPECT_GE(all.out.size(), size - 3 * log_chunk_size);
  const std::size_t head = 8 * log_chunk_size - 8 * 5;  // eight chunks, less what record heads take
  EXPECT_TRUE(all_out.starts_with(all.out.substr(0, head - 1000)));
  EXPECT_TRUE(all_out.ends_with(all.out.substr(all.out.size() - 6 * log_chunk_size)));
  EXPECT_GT(all.skipped + all.out.size(), all_out.size());
  EXPECT_LT(all.skipped + all.out.size(), all_out.size() + 10'000);  // record heads in the hole
}

TEST_F(AttemptLog, TooSmallForTwoHalvesKeepsTheFirstBytesAndSaysHowManyAreMissing) {
  AttemptLogWriter writer(path, 10'000);
  for (int i = 0; i < 100; ++i) writer.append(LogStream::err, std::string(1000, 'x'));
  writer.finish();
  const All all = read_all();
  EXPECT_LE(std::filesystem::file_size(path), 10'000u);
  EXPECT_EQ(all.err.size() + all.skipped, 100'000u);
  EXPECT_EQ(all.skipped, writer.dropped());
  EXPECT_EQ(all.order, "es");
}

TEST_F(AttemptLog, FullDiskStopsWritingAndKeepsWhatIsThere) {
  rlimit old{};
  ::getrlimit(RLIMIT_FSIZE, &old);
  const auto handler = std::signal(SIGXFSZ, SIG_IGN);
  rlimit small = old;
  small.rlim_cur = 150'000;
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &small), 0);
  AttemptLogWriter writer(path, 64 << 20);
  for (int i = 0; i < 5; ++i) writer.append(LogStream::out, std::string(60'000, 'x'));
  ::setrlimit(RLIMIT_FSIZE, &old);
  writer.finish();
  std::signal(SIGXFSZ, handler);
  EXPECT_NE(writer.error(), 0);
  const All all = read_all();
  EXPECT_EQ(all.out.size(), 120'000u);
  EXPECT_EQ(all.skipped, 180'000u);
}

TEST_F(AttemptLog, AnyOffsetIsAPlaceToRead) {
  AttemptLogWriter writer(path, 64 << 20);
  writer.append(LogStream::out, std::string_view("abcdef"));
  writer.append(LogStream::err, std::string_view("ghi"));
  EXPECT_EQ(read_all(7).out, "cdef");
  EXPECT_EQ(read_all(3).out, "abcdef");
  EXPECT_EQ(read_all(1'000'000).out, "");
  EXPECT_EQ(reader().read(UINT64_MAX, 10).next_offset, UINT64_MAX);
}

TEST_F(AttemptLog, GarbageIsSkippedChunkByChunk) {
  std::string file(log_chunk_size, '\xff');
  file += std::string("\x01\0\0\0\x02hi", 7);
  write_file(file);
  const All all = read_all();
  EXPECT_EQ(all.order, "so");
  EXPECT_EQ(all.skipped, log_chunk_size);
  EXPECT_EQ(all.out, "hi");
}

TEST_F(AttemptLog, RecordLongerThanItsChunkIsGarbage) {
  write_file(
      std::string("\x01\0\0\0\x01"
                  "a"
                  "\x01\xff\xff\xff\xff"
                  "bcd",
                  14));
  const All all = read_all();
  EXPECT_EQ(all.out, "a");
  EXPECT_EQ(all.skipped, 8u);
}

TEST_F(AttemptLog, RandomBytesNeverLoopAndNeverOverflow) {
  std::mt19937 random(7);
  for (int round = 0; round < 200; ++round) {
    std::string file(random() % 200'000, '\0');
    for (char& byte : file) byte = random() % 3 ? '\0' : static_cast<char>(random() % 5);
    for (std::size_t at = 0; at < file.size(); at += log_chunk_size)
      file[at] = static_cast<char>(random() % 4);
    write_file(file);
    read_all(random() % 100, random() % 5000 + 1);
  }
}

TEST_F(AttemptLog, HugeSparseFileIsReadInBoundedSteps) {
  write_file("");
  ASSERT_EQ(::truncate(path.c_str(), off_t{1} << 40), 0);
  const auto read = reader().read(0, 1000);
  ASSERT_EQ(read.pieces.size(), 1u);
  EXPECT_EQ(read.pieces[0].skipped, std::uint64_t{1} << 40);
  EXPECT_EQ(read.next_offset, std::uint64_t{1} << 40);
}

}  // namespace
}  // namespace poold
