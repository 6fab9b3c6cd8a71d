#include "key_snapshot.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace postern::native {
namespace {

// A set has at most 256 KiB; some tens of issuers fit.
constexpr std::size_t snapshot_bytes_max = 16 * 1024 * 1024;

class Descriptor {
 public:
  explicit Descriptor(int number) : number_(number) {}
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  ~Descriptor() {
    if (number_ >= 0) ::close(number_);
  }
  [[nodiscard]] int number() const { return number_; }

 private:
  int number_;
};

std::string last_error() { return std::strerror(errno); }

}  // namespace

std::string read_key_snapshot(const std::string& file, std::string& fault) {
  const Descriptor in(::open(file.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
  if (in.number() < 0) {
    if (errno != ENOENT) fault = last_error();
    return {};
  }
  struct stat facts {};
  if (::fstat(in.number(), &facts) != 0 || !S_ISREG(facts.st_mode)) {
    fault = "is not a regular file";
    return {};
  }
  if ((facts.st_mode & (S_IWGRP | S_IWOTH)) != 0 || (facts.st_uid != ::geteuid() && facts.st_uid != 0)) {
    fault = "others may write it; chmod 600 it, or remove it";
    return {};
  }
  if (static_cast<std::size_t>(facts.st_size) > snapshot_bytes_max) {
    fault = "is larger than any snapshot";
    return {};
  }
  std::string text(static_cast<std::size_t>(facts.st_size), '\0');
  std::size_t size = 0;
  while (size < text.size()) {
    const ssize_t got = ::read(in.number(), text.data() + size, text.size() - size);
    if (got <= 0) break;
    size += static_cast<std::size_t>(got);
  }
  text.resize(size);
  return text;
}

std::string write_key_snapshot(const std::string& file, std::string_view text) {
  const std::string fresh = file + ".new";
  ::unlink(fresh.c_str());
  {
    const Descriptor out(::open(fresh.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, S_IRUSR | S_IWUSR));
    if (out.number() < 0) return last_error();
    std::size_t size = 0;
    while (size < text.size()) {
      const ssize_t put = ::write(out.number(), text.data() + size, text.size() - size);
      if (put <= 0) return last_error();
      size += static_cast<std::size_t>(put);
    }
  }
  if (::rename(fresh.c_str(), file.c_str()) != 0) return last_error();
  return {};
}

}  // namespace postern::native
