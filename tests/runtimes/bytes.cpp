// The wasm that bytes.test.mjs runs: what wasm/bytes.cpp has in the place of the C library's, against loops over single bytes.
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <random>
#include <string>

namespace {

// Not what the compiler would put in their place where it knows a length.
void* (*volatile move)(void*, const void*, std::size_t) = std::memmove;
void* (*volatile copy)(void*, const void*, std::size_t) = std::memcpy;
void* (*volatile fill)(void*, int, std::size_t) = std::memset;
int (*volatile compare)(const void*, const void*, std::size_t) = std::memcmp;

int sign(int number) { return (number > 0) - (number < 0); }

int compare_bytes(const std::string& left, const std::string& right, std::size_t bytes) {
  for (std::size_t i = 0; i < bytes; ++i) {
    if (left[i] != right[i]) return static_cast<unsigned char>(left[i]) < static_cast<unsigned char>(right[i]) ? -1 : 1;
  }
  return 0;
}

}  // namespace

// Of `rounds` of each; with bytes before and behind that must stay.
extern "C" __attribute__((export_name("differences"))) std::uint32_t differences(std::uint32_t seed, std::uint32_t rounds) {
  std::mt19937 random(seed);
  std::uint32_t found = 0;
  for (std::uint32_t round = 0; round < rounds; ++round) {
    // Around every length at which the way changes, and everything between.
    const std::size_t bytes = random() % (random() % 2 == 0 ? 40 : 700);
    std::string before(bytes + 1500, '\0');
    for (char& c : before) c = static_cast<char>(random());
    const std::size_t from = random() % 700;
    // Near each other, so that they overlap on either side.
    const std::size_t to = random() % 2 == 0 ? random() % 700 : (from + random() % 33) - (from >= 16 ? 16 : 0);
    const int value = static_cast<int>(random());

    std::string wanted = before;
    for (std::size_t i = 0; i < bytes; ++i) wanted[to + i] = before[from + i];
    std::string got = before;
    if (move(got.data() + to, got.data() + from, bytes) != got.data() + to || got != wanted) ++found;
    got = before;
    if (copy(got.data() + to, before.data() + from, bytes) != got.data() + to || got != wanted) ++found;

    wanted = before;
    for (std::size_t i = 0; i < bytes; ++i) wanted[to + i] = static_cast<char>(value);
    got = before;
    if (fill(got.data() + to, value, bytes) != got.data() + to || got != wanted) ++found;

    wanted = before.substr(from, bytes);
    got = wanted;
    // Two, of which the first decides.
    for (int i = 0; i < 2 && bytes != 0 && round % 4 != 0; ++i) got[random() % bytes] = static_cast<char>(random());
    if (sign(compare(wanted.data(), got.data(), bytes)) != compare_bytes(wanted, got, bytes)) ++found;
  }
  return found;
}
