#include "tests/conformance/power_loss/disk.hpp"

#include <algorithm>
#include <utility>

namespace power_loss {

void File::put(std::string& content, std::size_t at, std::string_view bytes) {
  if (content.size() < at + bytes.size()) content.resize(at + bytes.size(), '\0');
  content.replace(at, bytes.size(), bytes);
}

std::shared_ptr<File> File::of(std::string content) {
  auto file = std::make_shared<File>();
  file->now_ = file->durable_ = std::move(content);
  return file;
}

void File::write(std::size_t at, std::string_view bytes) {
  put(now_, at, bytes);
  pending_.push_back({at, std::string(bytes)});
}

void File::truncate(std::size_t size) {
  now_.resize(size, '\0');
  pending_.push_back({size, {}, true});
}

void File::sync() {
  // Not what is read: a sync that failed before has left the two apart.
  for (const Change& change : pending_) {
    if (change.is_truncation)
      durable_.resize(change.at, '\0');
    else
      put(durable_, change.at, change.bytes);
  }
  pending_.clear();
}

void File::forget() { pending_.clear(); }

std::string File::after_loss(std::mt19937_64& random, unsigned keep) const {
  std::string content = durable_;
  for (const Change& change : pending_) {
    const bool whole = random() % 16 < keep;
    if (change.is_truncation) {
      if (whole) content.resize(change.at, '\0');
      continue;
    }
    if (whole) {
      put(content, change.at, change.bytes);
      continue;
    }
    if (keep == 0 || random() % 2) continue;
    // Torn: some of its sectors.
    const std::size_t end = change.at + change.bytes.size(), before = content.size();
    const bool rubbish = random() % 2;
    if (before < end) content.resize(end, rubbish ? '\xa5' : '\0');
    for (std::size_t from = change.at; from < end;) {
      const std::size_t to = std::min(end, (from / sector_size + 1) * sector_size);
      if (random() % 2)
        put(content, from, std::string_view(change.bytes).substr(from - change.at, to - from));
      from = to;
    }
  }
  return content;
}

Disk::Disk(const Files& files) {
  for (const auto& [path, content] : files) names_[path] = File::of(content);
  durable_names_ = names_;
}

std::shared_ptr<File> Disk::find(const std::string& path) const {
  const auto found = names_.find(path);
  return found == names_.end() ? nullptr : found->second;
}

std::shared_ptr<File> Disk::create(const std::string& path) {
  return names_[path] = std::make_shared<File>();
}

void Disk::remove(const std::string& path) { names_.erase(path); }

Disk::Files Disk::after_loss(std::mt19937_64& random, unsigned keep) const {
  std::map<std::string, std::shared_ptr<File>> names = durable_names_;
  for (const auto& [path, file] : names_)
    if (random() % 16 < keep) names[path] = file;
  for (const auto& [path, file] : durable_names_)
    if (!names_.contains(path) && random() % 16 < keep) names.erase(path);
  Files files;
  for (const auto& [path, file] : names) files[path] = file->after_loss(random, keep);
  return files;
}

}  // namespace power_loss
