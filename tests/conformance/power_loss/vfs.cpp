#include "tests/conformance/power_loss/vfs.hpp"

#include <sqlite3.h>

#include <cstring>
#include <utility>

namespace power_loss {
namespace {

Disk* mounted = nullptr;

struct Handle {
  sqlite3_file base;  // first: SQLite sees this only
  Disk* disk;
  std::shared_ptr<File>* file;
  bool sync_directory;  // with the next sync
};

Handle& of(sqlite3_file* file) { return *reinterpret_cast<Handle*>(file); }

int fault(const Disk& disk, Act act) { return disk.fault ? disk.fault(act) : SQLITE_OK; }

void changed(const Disk& disk) {
  if (disk.changed) disk.changed();
}

int close(sqlite3_file* base) {
  delete std::exchange(of(base).file, nullptr);
  return SQLITE_OK;
}

int read(sqlite3_file* base, void* to, int size, sqlite3_int64 at) {
  Handle& handle = of(base);
  if (const int code = fault(*handle.disk, Act::read)) return code;
  const std::string& content = (*handle.file)->content();
  const auto from = static_cast<std::size_t>(at), wanted = static_cast<std::size_t>(size);
  const std::size_t there = from < content.size() ? std::min(wanted, content.size() - from) : 0;
  std::memcpy(to, content.data() + (there ? from : 0), there);
  std::memset(static_cast<char*>(to) + there, 0, wanted - there);
  return there == wanted ? SQLITE_OK : SQLITE_IOERR_SHORT_READ;
}

int write(sqlite3_file* base, const void* bytes, int size, sqlite3_int64 at) {
  Handle& handle = of(base);
  if (const int code = fault(*handle.disk, Act::write)) return code;
  (*handle.file)
      ->write(static_cast<std::size_t>(at),
              {static_cast<const char*>(bytes), static_cast<std::size_t>(size)});
  changed(*handle.disk);
  return SQLITE_OK;
}

int truncate(sqlite3_file* base, sqlite3_int64 size) {
  Handle& handle = of(base);
  if (const int code = fault(*handle.disk, Act::truncate)) return code;
  (*handle.file)->truncate(static_cast<std::size_t>(size));
  changed(*handle.disk);
  return SQLITE_OK;
}

int sync(sqlite3_file* base, int) {
  Handle& handle = of(base);
  if (const int code = fault(*handle.disk, Act::sync)) {
    (*handle.file)->forget();
    return code;
  }
  if (handle.disk->lies) return SQLITE_OK;
  (*handle.file)->sync();
  if (std::exchange(handle.sync_directory, false)) handle.disk->sync_directory();
  changed(*handle.disk);
  return SQLITE_OK;
}

int file_size(sqlite3_file* base, sqlite3_int64* size) {
  *size = static_cast<sqlite3_int64>((*of(base).file)->content().size());
  return SQLITE_OK;
}

// One process, one connection: nobody else holds a lock.
int lock(sqlite3_file*, int) { return SQLITE_OK; }
int check_reserved_lock(sqlite3_file*, int* held) {
  *held = 0;
  return SQLITE_OK;
}
int file_control(sqlite3_file*, int, void*) { return SQLITE_NOTFOUND; }
int sector(sqlite3_file*) { return 4096; }
int characteristics(sqlite3_file*) { return SQLITE_IOCAP_POWERSAFE_OVERWRITE; }

const sqlite3_io_methods methods = {1,
                                    close,
                                    read,
                                    write,
                                    truncate,
                                    sync,
                                    file_size,
                                    lock,
                                    lock,
                                    check_reserved_lock,
                                    file_control,
                                    sector,
                                    characteristics,
                                    nullptr,
                                    nullptr,
                                    nullptr,
                                    nullptr,
                                    nullptr,
                                    nullptr};

int open(sqlite3_vfs*, const char* path, sqlite3_file* base, int flags, int* opened_as) {
  Handle& handle = of(base);
  handle.base.pMethods = nullptr;
  if (const int code = fault(*mounted, Act::open)) return code;
  std::shared_ptr<File> file = path ? mounted->find(path) : std::make_shared<File>();
  const bool fresh = !file;
  if (fresh) {
    if (!(flags & SQLITE_OPEN_CREATE)) return SQLITE_CANTOPEN;
    file = mounted->create(path);
  }
  constexpr int logs = SQLITE_OPEN_MAIN_JOURNAL | SQLITE_OPEN_WAL | SQLITE_OPEN_SUPER_JOURNAL;
  handle.disk = mounted;
  handle.file = new std::shared_ptr<File>(std::move(file));
  handle.sync_directory = fresh && (flags & logs);
  handle.base.pMethods = &methods;
  if (opened_as) *opened_as = flags;
  if (fresh) changed(*mounted);
  return SQLITE_OK;
}

int remove(sqlite3_vfs*, const char* path, int sync_directory) {
  if (const int code = fault(*mounted, Act::remove)) return code;
  if (!mounted->find(path)) return SQLITE_IOERR_DELETE_NOENT;
  mounted->remove(path);
  if (sync_directory) mounted->sync_directory();
  changed(*mounted);
  return SQLITE_OK;
}

int access(sqlite3_vfs*, const char* path, int, int* there) {
  const auto file = mounted->find(path);
  *there = file != nullptr;
  return SQLITE_OK;
}

int full_path(sqlite3_vfs*, const char* path, int size, char* full) {
  sqlite3_snprintf(size, full, "%s", path);
  return SQLITE_OK;
}

sqlite3_vfs make_vfs() {
  const sqlite3_vfs& real = *sqlite3_vfs_find(nullptr);
  sqlite3_vfs vfs = real;  // clock and randomness are the system's
  vfs.iVersion = 1;
  vfs.szOsFile = sizeof(Handle);
  vfs.pNext = nullptr;
  vfs.zName = "power_loss";
  vfs.xOpen = open;
  vfs.xDelete = remove;
  vfs.xAccess = access;
  vfs.xFullPathname = full_path;
  return vfs;
}

}  // namespace

Mounted::Mounted(Disk& disk) : before_(std::exchange(mounted, &disk)) {
  static sqlite3_vfs vfs = make_vfs();
  if (!before_) sqlite3_vfs_register(&vfs, 1);
}

Mounted::~Mounted() {
  mounted = before_;
  if (!before_) sqlite3_vfs_unregister(sqlite3_vfs_find("power_loss"));
}

}  // namespace power_loss
