#include "token_cache.h"

#include <utility>

namespace postern {
namespace {

// A short string lies inside its object.
std::size_t heap_bytes(const std::string& text) {
  const std::size_t inside = std::string().capacity();
  return text.capacity() > inside ? text.capacity() + 1 : 0;
}

// What one entry costs: itself, its share of a table that is a quarter full at the least, and what it points to. A user never
// changes, so neither does this.
std::size_t cost_of(const VerifiedToken& token, std::size_t entry_bytes, std::size_t place_bytes) {
  // Counters of the shared pointer, and what the allocator adds to some six blocks.
  constexpr std::size_t overhead_bytes = 128;
  std::size_t bytes = entry_bytes + 4 * place_bytes + overhead_bytes;
  const User& user = *token.user;
  bytes += sizeof(User) + heap_bytes(user.identity) + heap_bytes(user.display_name) + heap_bytes(user.claims_json) +
           heap_bytes(user.fields_json) + heap_bytes(user.credential.issuer) + heap_bytes(user.credential.subject) +
           heap_bytes(user.credential.token_id);
  bytes += user.permissions.capacity() * sizeof(std::string);
  for (const std::string& permission : user.permissions) bytes += heap_bytes(permission);
  return bytes;
}

}  // namespace

void TokenCache::seed(const SipHashKey& key) {
  clear();
  key_ = key;
  seeded_ = true;
}

TokenName TokenCache::name_of(std::string_view token) const {
  return {siphash_2_4_128(key_, token), static_cast<std::uint32_t>(token.size())};
}

std::size_t TokenCache::place_of(const TokenName& name) const {
  const std::size_t mask = table_.size() - 1;
  const std::uint32_t tag = tag_of(name.hash);
  // Ends: the table is never full.
  for (std::size_t place = home_of(name.hash);; place = (place + 1) & mask) {
    const Place& here = table_[place];
    if (here.slot == none || (here.tag == tag && entries_[here.slot].is(name))) return place;
  }
}

TokenCache::Hit TokenCache::find(const TokenName& name, Time now) {
  if (table_.empty()) return {nullptr, 0, 0};
  const std::uint32_t slot = table_[place_of(name)].slot;
  if (slot == none) return {nullptr, 0, 0};
  const Entry& entry = entries_[slot];
  const VerifiedToken& token = entry.token;
  if (now >= token.usable_until) {
    drop(slot);
    return {nullptr, 0, 0};
  }
  // The clock went back: for the claims to judge.
  if (now < token.usable_from) return {nullptr, 0, 0};
  if (slot != newest_) {
    unlink(slot);
    link_newest(slot);
  }
  return {&token, slot, entry.serial};
}

TokenCache::Hit TokenCache::insert(const TokenName& name, VerifiedToken token) {
  erase(name);
  const std::size_t bytes = cost(token);
  if (bytes > bytes_max_) return {nullptr, 0, 0};
  while (bytes_ + bytes > bytes_max_) drop(oldest_);
  if ((size_ + 1) * 2 > table_.size()) grow();

  std::uint32_t slot = free_;
  if (slot == none) {
    slot = static_cast<std::uint32_t>(entries_.size());
    entries_.emplace_back();
    uses_.emplace_back();
  } else {
    free_ = uses_[slot].older;
  }
  if (++last_serial_ == 0) ++last_serial_;
  Entry& entry = entries_[slot];
  entry.hash = name.hash;
  entry.token_bytes = name.bytes;
  entry.serial = last_serial_;
  entry.token = std::move(token);
  table_[place_of(name)] = {slot, tag_of(name.hash)};
  link_newest(slot);
  ++size_;
  bytes_ += bytes;
  return {&entry.token, slot, entry.serial};
}

void TokenCache::erase(const TokenName& name) {
  if (table_.empty()) return;
  if (const std::uint32_t slot = table_[place_of(name)].slot; slot != none) drop(slot);
}

void TokenCache::clear() {
  while (oldest_ != none) drop(oldest_);
}

void TokenCache::grow() {
  constexpr std::size_t least = 64;
  table_.assign(table_.empty() ? least : table_.size() * 2, Place{});
  for (std::uint32_t slot = newest_; slot != none; slot = uses_[slot].older) {
    const Entry& entry = entries_[slot];
    table_[place_of({entry.hash, entry.token_bytes})] = {slot, tag_of(entry.hash)};
  }
}

std::size_t TokenCache::cost(const VerifiedToken& token) {
  return cost_of(token, sizeof(Entry) + sizeof(Neighbours), sizeof(Place));
}

void TokenCache::unlink(std::uint32_t slot) {
  const Neighbours here = uses_[slot];
  (here.newer == none ? newest_ : uses_[here.newer].older) = here.older;
  (here.older == none ? oldest_ : uses_[here.older].newer) = here.newer;
}

void TokenCache::link_newest(std::uint32_t slot) {
  uses_[slot] = {none, newest_};
  (newest_ == none ? oldest_ : uses_[newest_].newer) = slot;
  newest_ = slot;
}

void TokenCache::drop(std::uint32_t slot) {
  Entry& entry = entries_[slot];
  // Linear probing without tombstones (Knuth, volume 3, section 6.4, algorithm R): entries behind the gap move up to it,
  // unless their home lies between the gap and where they are.
  const std::size_t mask = table_.size() - 1;
  std::size_t gap = place_of({entry.hash, entry.token_bytes});
  for (std::size_t at = (gap + 1) & mask; table_[at].slot != none; at = (at + 1) & mask) {
    const std::size_t home = home_of(entries_[table_[at].slot].hash);
    if (((at - home) & mask) >= ((at - gap) & mask)) {
      table_[gap] = table_[at];
      gap = at;
    }
  }
  table_[gap] = Place{};

  unlink(slot);
  --size_;
  bytes_ -= cost(entry.token);
  entry = Entry{};
  uses_[slot].older = free_;
  free_ = slot;
}

}  // namespace postern
