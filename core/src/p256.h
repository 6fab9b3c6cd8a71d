// A cached P-256 key, a hash and a signature to an answer: ECDSA verification, FIPS 186-5 6.4.2 (SEC 1, 4.1.4), for ES256.
//
// Verification only, of public data: nothing here is constant-time. A key that is used often gets a table of its multiples,
// which replaces all doublings; the tables of all keys together stay within a budget of bytes. The answer never depends on
// which tables there are. `undecided` is for mbedTLS: additions of equal or opposite points, which are left out here, and which
// only somebody who knows the key's private half can bring about.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string_view>

namespace postern {

enum class P256Answer : std::uint8_t { accepted, refused, undecided };

enum class P256TableSize : std::uint8_t {
  small,  // windows of 4 bits: 32 KiB
  large,  // windows of 8 bits: 256 KiB
};

// Room for 31 busy keys and the generator, or hundreds of less busy ones; a worker's isolate has 128 MB.
inline constexpr std::size_t p256_table_bytes_max = 8 * 1024 * 1024;
// A small table costs what it saves in 6 uses (in wasm 0.4 ms against 60 us a use), a large one instead of it in about 150 (1.3
// ms against 8 us), natively much the same. Building is done while nobody waits, so somewhat sooner.
inline constexpr std::uint64_t p256_small_table_uses = 4;
inline constexpr std::uint64_t p256_large_table_uses = 128;

// Who may have a table, and the building of them. One thread.
//
// When the budget is used up, a key gets its table by taking that of the least recently used key, but only of one that was not
// used at all while this one was used often enough: many equally busy keys keep what they have instead of building in circles.
class TableBudget {
 public:
  explicit TableBudget(std::size_t bytes_max = p256_table_bytes_max);
  ~TableBudget();
  TableBudget(const TableBudget&) = delete;
  TableBudget& operator=(const TableBudget&) = delete;

  // Does one slice of the building that is waiting (an eighth of a table: 0.2 ms at most) and says whether more is. Never called
  // by `verify`: it is for the time when nobody waits for an answer.
  bool build_step();
  [[nodiscard]] bool building_waits() const;
  [[nodiscard]] std::size_t bytes() const;  // at most bytes_max, tables being built included

  struct State;

 private:
  friend class P256Tables;
  std::unique_ptr<State> state_;
};

// One public key. Movable, not copyable.
class P256Tables {
 public:
  // Nothing if x and y (32 bytes each, big-endian) are not the coordinates of a point on the curve (SEC 1, 3.2.2.1; the cofactor
  // is 1, so every point but infinity, which has no coordinates, is of order n).
  [[nodiscard]] static std::optional<P256Tables> make(std::shared_ptr<TableBudget> budget, std::string_view x,
                                                      std::string_view y);
  P256Tables(P256Tables&&) noexcept;
  P256Tables& operator=(P256Tables&&) noexcept;
  ~P256Tables();

  // `signature` is r and s, big-endian (RFC 7518 3.4). Refuses any length but 64, r or s outside [1, n-1]. What is accepted
  // counts as a use; who has no good signature has no say in who gets a table.
  [[nodiscard]] P256Answer verify(std::span<const std::uint8_t, 32> hash, std::string_view signature) const;

  // Asks for a table without waiting for uses, unless it waits for one already; build_step builds it where there is room.
  void request(P256TableSize size) const;
  [[nodiscard]] std::optional<P256TableSize> table() const;

  struct Entry;

 private:
  P256Tables(std::shared_ptr<TableBudget> budget, Entry* entry);
  void leave();
  std::shared_ptr<TableBudget> budget_;
  Entry* entry_ = nullptr;  // owned by the budget's lists; none after a move
};

}  // namespace postern
