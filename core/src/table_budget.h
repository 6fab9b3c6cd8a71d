// Which cached keys may have tables of their multiples, and the building of them: uses and a budget of bytes in, tables out.
//
// All keys of one gate share one budget. Small tables come first, a larger one once a key is busy. When the budget is used up, a
// key gets its table by taking that of the least recently used key, but only of one that was not used at all while this one was
// used often enough: many equally busy keys keep what they have instead of building in circles. No answer depends on which
// tables there are. One thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <list>
#include <memory>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

namespace postern {

enum class TableSize : std::uint8_t { small, large };

// Room for 31 busy P-256 keys and the generator, or hundreds of less busy ones; a worker's isolate has 128 MB.
inline constexpr std::size_t table_bytes_max_default = 8 * 1024 * 1024;

// What having a table of one size means for a key. After so many accepted signatures it pays: building happens while nobody
// waits, so somewhat sooner than the time saved makes up for it.
struct TableOffer {
  std::size_t bytes = 0;
  std::uint64_t uses = 0;
};

class TableBudget;

// A key, or what keys of one curve share, that verifies faster with a table. It stays where it is: the budget points to it.
class TableUser {
 public:
  TableUser(const TableUser&) = delete;
  TableUser& operator=(const TableUser&) = delete;
  virtual ~TableUser();  // gives its bytes back

  // Asks for a table without waiting for uses, unless it waits for one already; build_step builds it where there is room.
  void request(TableSize size);
  // Counts an accepted signature. Who has no good signature has no say in who gets a table.
  void count_use();
  // The table that it has from the budget.
  [[nodiscard]] std::optional<TableSize> table() const { return held_; }

 protected:
  // `base`: what keys share, without whose table one of their own is worth little, so that it is built first; may be null.
  explicit TableUser(TableBudget& budget, TableUser* base = nullptr);

 private:
  friend class TableBudget;
  // Nothing where a size is not to be had.
  [[nodiscard]] virtual std::optional<TableOffer> offer(TableSize size) const = 0;
  // One slice of the building of a table, 0.3 ms at most in wasm; true once it is whole and verification uses it. Once begun, it
  // is called until then, always with the same size.
  [[nodiscard]] virtual bool build_slice(TableSize size) = 0;
  virtual void drop_table() = 0;
  // The table that more use would earn it.
  [[nodiscard]] std::optional<TableSize> next_size() const;

  TableBudget& budget_;
  TableUser* base_;
  std::optional<TableSize> held_;
  std::size_t held_bytes_ = 0;
  std::optional<TableSize> wanted_;  // it waits for its turn, or is being built
  std::uint64_t uses_ = 0;           // since counted_from_
  std::uint64_t counted_from_ = 0;
  std::uint64_t last_used_ = 0;
  bool kept_ = false;  // shared: has a place among those without a table whether it has one or not
  std::list<TableUser*>::iterator place_;
};

class TableBudget {
 public:
  // 0: no tables; keys verify without, slower.
  explicit TableBudget(std::size_t bytes_max = table_bytes_max_default);
  ~TableBudget();
  TableBudget(const TableBudget&) = delete;
  TableBudget& operator=(const TableBudget&) = delete;

  // Does one slice of the building that is waiting and says whether more is. Never called by a verification: it is for the time
  // when nobody waits for an answer.
  bool build_step();
  [[nodiscard]] bool building_waits() const { return target_ != nullptr || !waiting_.empty(); }
  // Whether more use may still earn some key a table, so that it is worth asking again later.
  [[nodiscard]] bool may_grow() const;
  [[nodiscard]] std::size_t bytes() const { return bytes_; }  // at most bytes_max, tables being built included
  [[nodiscard]] std::size_t bytes_max() const { return bytes_max_; }

  // What the keys of one curve share (the generator's multiples), by the curve's name: null until the first key has given it. Its
  // table is never dropped; it goes with the budget.
  [[nodiscard]] TableUser* shared(std::string_view name) const;
  TableUser& share(std::string_view name, std::unique_ptr<TableUser> user);

 private:
  friend class TableUser;
  using Users = std::list<TableUser*>;

  void count_use(TableUser& user);
  void want(TableUser& user, TableSize size);
  void count_anew(TableUser& user) const;
  void drop_table(TableUser& user);
  [[nodiscard]] bool make_room(const TableUser& user, const TableOffer& offer);
  [[nodiscard]] bool start();
  void finish();
  void remove(TableUser& user);

  std::size_t bytes_max_;
  std::size_t bytes_ = 0;
  std::uint64_t uses_ = 0;  // of all keys: the clock by which "least recently" is judged
  Users holders_;           // keys with a table, the most recently used first
  Users others_;            // and without; what is shared is always here, so that nobody takes its table
  std::vector<TableUser*> waiting_;
  TableUser* target_ = nullptr;  // of the building
  std::size_t target_bytes_ = 0;
  std::vector<std::pair<std::string_view, std::unique_ptr<TableUser>>> shared_;
};

}  // namespace postern
