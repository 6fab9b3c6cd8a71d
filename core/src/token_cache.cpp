#include "token_cache.h"

#include <utility>

namespace postern {
namespace {

// A short string lies inside its object.
std::size_t heap_bytes(const std::string& text) {
  const std::size_t inside = std::string().capacity();
  return text.capacity() > inside ? text.capacity() + 1 : 0;
}

// What one entry costs: itself, its share of a table that is a quarter full at the least, and what it points to.
std::size_t cost_of(const VerifiedToken& token, std::size_t entry_bytes) {
  // Counters of the shared pointer, and what the allocator adds to some six blocks.
  constexpr std::size_t overhead_bytes = 128;
  std::size_t bytes = entry_bytes + 4 * sizeof(std::uint32_t) + overhead_bytes;
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
  std::size_t place = home_of(name);
  // Ends: the table is never full.
  while (table_[place] != none && !(entries_[table_[place]].name == name)) place = (place + 1) & mask;
  return place;
}

TokenCache::Hit TokenCache::find(const TokenName& name, Time now) {
  if (table_.empty()) return {nullptr, 0, 0};
  const std::uint32_t slot = table_[place_of(name)];
  if (slot == none) return {nullptr, 0, 0};
  const VerifiedToken& token = entries_[slot].token;
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
  return {&token, slot, entries_[slot].serial};
}

TokenCache::Hit TokenCache::insert(const TokenName& name, VerifiedToken token) {
  erase(name);
  const std::size_t bytes = cost_of(token, sizeof(Entry));
  if (bytes > bytes_max_) return {nullptr, 0, 0};
  while (bytes_ + bytes > bytes_max_) drop(oldest_);
  if ((size_ + 1) * 2 > table_.size()) grow();

  std::uint32_t slot = free_;
  if (slot == none) {
    slot = static_cast<std::uint32_t>(entries_.size());
    entries_.emplace_back();
  } else {
    free_ = entries_[slot].older;
  }
  Entry& entry = entries_[slot];
  entry.name = name;
  entry.token = std::move(token);
  entry.bytes = bytes;
  entry.serial = ++last_serial_;
  table_[place_of(name)] = slot;
  link_newest(slot);
  ++size_;
  bytes_ += bytes;
  return {&entry.token, slot, entry.serial};
}

void TokenCache::erase(const TokenName& name) {
  if (table_.empty()) return;
  if (const std::uint32_t slot = table_[place_of(name)]; slot != none) drop(slot);
}

void TokenCache::clear() {
  while (oldest_ != none) drop(oldest_);
}

void TokenCache::grow() {
  constexpr std::size_t least = 64;
  table_.assign(table_.empty() ? least : table_.size() * 2, none);
  for (std::uint32_t slot = newest_; slot != none; slot = entries_[slot].older) table_[place_of(entries_[slot].name)] = slot;
}

void TokenCache::unlink(std::uint32_t slot) {
  Entry& entry = entries_[slot];
  (entry.newer == none ? newest_ : entries_[entry.newer].older) = entry.older;
  (entry.older == none ? oldest_ : entries_[entry.older].newer) = entry.newer;
}

void TokenCache::link_newest(std::uint32_t slot) {
  Entry& entry = entries_[slot];
  entry.newer = none;
  entry.older = newest_;
  (newest_ == none ? oldest_ : entries_[newest_].newer) = slot;
  newest_ = slot;
}

void TokenCache::drop(std::uint32_t slot) {
  Entry& entry = entries_[slot];
  // Linear probing without tombstones (Knuth, volume 3, section 6.4, algorithm R): entries behind the gap move up to it,
  // unless their home lies between the gap and where they are.
  const std::size_t mask = table_.size() - 1;
  std::size_t gap = place_of(entry.name);
  for (std::size_t at = (gap + 1) & mask; table_[at] != none; at = (at + 1) & mask) {
    const std::size_t home = home_of(entries_[table_[at]].name);
    if (((at - home) & mask) >= ((at - gap) & mask)) {
      table_[gap] = table_[at];
      gap = at;
    }
  }
  table_[gap] = none;

  unlink(slot);
  --size_;
  bytes_ -= entry.bytes;
  entry.token = VerifiedToken{};
  entry.name = TokenName{};
  entry.older = free_;
  free_ = slot;
}

}  // namespace postern
