#include "common/sealed_memory.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <string>
#include <string_view>

namespace poold {
namespace {

constexpr std::uint64_t no_limit = 1 << 20;

SealedMemory filled_with(std::string_view text) {
  SealedMemory memory = SealedMemory::create(text.size()).value();
  std::memcpy(memory.writable().data(), text.data(), text.size());
  EXPECT_TRUE(memory.seal());
  return memory;
}

FileDescriptor copy_of(const SealedMemory& memory) {
  return FileDescriptor(::fcntl(memory.descriptor().get(), F_DUPFD_CLOEXEC, 0));
}

std::string_view text_of(const SealedMemory& memory) {
  return {reinterpret_cast<const char*>(memory.bytes().data()), memory.bytes().size()};
}

FileDescriptor memfd(std::size_t size, int seals) {
  FileDescriptor made(::memfd_create("x", MFD_ALLOW_SEALING | MFD_CLOEXEC));
  EXPECT_EQ(::ftruncate(made.get(), static_cast<off_t>(size)), 0);
  EXPECT_EQ(::fcntl(made.get(), F_ADD_SEALS, seals), 0);
  return made;
}

std::string complaint_about(FileDescriptor memory, std::uint64_t size, std::uint64_t size_max = no_limit) {
  auto adopted = SealedMemory::adopt(std::move(memory), size, size_max);
  return std::holds_alternative<std::string>(adopted) ? std::get<std::string>(adopted) : "";
}

TEST(SealedPayload, WhatWasWrittenIsReadByWhoeverAdoptsIt) {
  const SealedMemory made = filled_with("a large payload");
  const auto adopted = SealedMemory::adopt(copy_of(made), 15, no_limit);
  EXPECT_EQ(text_of(std::get<SealedMemory>(adopted)), "a large payload");
  EXPECT_EQ(text_of(made), "a large payload");
}

TEST(SealedPayload, ItLivesAsLongAsAMappingOfIt) {
  std::optional<SealedMemory> made = filled_with("still here");
  auto adopted = SealedMemory::adopt(copy_of(*made), 10, no_limit);
  made.reset();
  SealedMemory moved = std::move(std::get<SealedMemory>(adopted));
  EXPECT_EQ(text_of(moved), "still here");
}

TEST(SealedPayload, SealedMemoryCannotBeChanged) {
  const SealedMemory made = filled_with("as it is");
  EXPECT_EQ(::write(made.descriptor().get(), "x", 1), -1);
  EXPECT_EQ(errno, EPERM);
  EXPECT_EQ(::ftruncate(made.descriptor().get(), 1), -1);
  EXPECT_EQ(::mmap(nullptr, 8, PROT_WRITE, MAP_SHARED, made.descriptor().get(), 0), MAP_FAILED);
}

TEST(SealedPayload, MemoryThatIsNotSealedIsRefused) {
  EXPECT_EQ(complaint_about(memfd(4096, 0), 4096),
            "the memfd is not sealed against shrinking, growing, writing, other seals");
}

TEST(SealedPayload, MemoryThatIsPartlySealedIsRefusedWithWhatIsMissing) {
  EXPECT_EQ(complaint_about(memfd(4096, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL), 4096),
            "the memfd is not sealed against writing");
  // Mappings that were there before could go on writing.
  EXPECT_EQ(complaint_about(memfd(4096, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_FUTURE_WRITE), 4096),
            "the memfd is not sealed against writing, other seals");
}

TEST(SealedPayload, AnotherSizeThanAnnouncedIsRefused) {
  const SealedMemory made = filled_with("fifteen bytes..");
  EXPECT_EQ(complaint_about(copy_of(made), 16), "the memfd has 15 bytes; 16 were announced");
  EXPECT_EQ(complaint_about(copy_of(made), 14), "the memfd has 15 bytes; 14 were announced");
  EXPECT_EQ(complaint_about(copy_of(made), 0), "shared memory of 0 bytes");
}

TEST(SealedPayload, ADescriptorThatIsNoMemfdIsRefused) {
  EXPECT_EQ(complaint_about(FileDescriptor(::open("/dev/zero", O_RDONLY | O_CLOEXEC)), 4096),
            "the descriptor is no memfd");
  EXPECT_EQ(complaint_about(FileDescriptor(), 4096), "the descriptor is no memfd");
}

TEST(SealedPayload, MoreThanTheLimitIsRefused) {
  const SealedMemory made = filled_with("fifteen bytes..");
  EXPECT_EQ(complaint_about(copy_of(made), 15, 14), "shared memory of 15 bytes; accepted: at most 14");
}

}  // namespace
}  // namespace poold
