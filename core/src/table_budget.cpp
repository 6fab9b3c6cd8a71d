#include "table_budget.h"

#include <algorithm>

namespace postern {

TableUser::TableUser(TableBudget& budget, TableUser* base) : budget_(budget), base_(base), counted_from_(budget.uses_) {
  budget.others_.push_front(this);
  place_ = budget.others_.begin();
}

TableUser::~TableUser() { budget_.remove(*this); }

void TableUser::request(TableSize size) {
  if (wanted_.has_value() || held_ == size || held_ == TableSize::large || !offer(size).has_value()) return;
  budget_.want(*this, size);
}

void TableUser::count_use() { budget_.count_use(*this); }

std::optional<TableSize> TableUser::next_size() const {
  const auto fits = [this](TableSize size) {
    const auto offered = offer(size);
    return offered.has_value() && offered->bytes <= budget_.bytes_max_;
  };
  if (!held_.has_value() && fits(TableSize::small)) return TableSize::small;
  if (held_ != TableSize::large && fits(TableSize::large)) return TableSize::large;
  return std::nullopt;
}

TableBudget::TableBudget(std::size_t bytes_max) : bytes_max_(bytes_max) {}
TableBudget::~TableBudget() = default;

TableUser* TableBudget::shared(std::string_view name) const {
  for (const auto& [other, user] : shared_) {
    if (other == name) return user.get();
  }
  return nullptr;
}

TableUser& TableBudget::share(std::string_view name, std::unique_ptr<TableUser> user) {
  user->kept_ = true;
  return *shared_.emplace_back(name, std::move(user)).second;
}

void TableBudget::count_use(TableUser& user) {
  user.last_used_ = ++uses_;
  user.uses_++;
  if (user.held_.has_value()) holders_.splice(holders_.begin(), holders_, user.place_);
  if (user.wanted_.has_value()) return;
  const auto size = user.next_size();
  if (size.has_value() && user.uses_ >= user.offer(*size)->uses) want(user, *size);
}

void TableBudget::want(TableUser& user, TableSize size) {
  // A key's table is worth little before the shared one, which is large unless that would leave no room for others.
  if (TableUser* base = user.base_; base != nullptr && !base->held_.has_value() && !base->wanted_.has_value()) {
    const bool roomy = base->offer(TableSize::large).value().bytes <= bytes_max_ / 4;
    base->wanted_ = roomy ? TableSize::large : TableSize::small;
    waiting_.push_back(base);
  }
  user.wanted_ = size;
  waiting_.push_back(&user);
}

void TableBudget::count_anew(TableUser& user) const {
  user.uses_ = 0;
  user.counted_from_ = uses_;
  user.wanted_.reset();
}

void TableBudget::drop_table(TableUser& user) {
  bytes_ -= user.held_bytes_;
  user.held_.reset();
  user.held_bytes_ = 0;
  user.drop_table();
  others_.splice(others_.begin(), holders_, user.place_);
  count_anew(user);
}

// Drops what may be dropped for `user`, as far as that is needed and enough.
bool TableBudget::make_room(const TableUser& user, const TableOffer& offer) {
  const bool earned = user.uses_ >= offer.uses;
  std::size_t available = bytes_max_ - bytes_;
  auto first = holders_.end();
  while (earned && available < offer.bytes && first != holders_.begin()) {
    const auto candidate = std::prev(first);
    if ((*candidate)->last_used_ > user.counted_from_ || (*candidate)->wanted_.has_value()) break;
    available += (*candidate)->held_bytes_;
    first = candidate;
  }
  if (available < offer.bytes) return false;
  while (first != holders_.end()) drop_table(**first++);
  return true;
}

// The next that waits and for which there is room.
bool TableBudget::start() {
  while (!waiting_.empty()) {
    TableUser& user = *waiting_.front();
    waiting_.erase(waiting_.begin());
    const TableOffer offer = user.offer(user.wanted_.value()).value();
    if (!make_room(user, offer)) {
      count_anew(user);
      continue;
    }
    bytes_ += offer.bytes;
    target_ = &user;
    target_bytes_ = offer.bytes;
    return true;
  }
  return false;
}

void TableBudget::finish() {
  TableUser& user = *target_;
  if (user.held_.has_value()) {
    bytes_ -= user.held_bytes_;
  } else if (!user.kept_) {
    holders_.splice(holders_.begin(), others_, user.place_);
  }
  user.held_ = user.wanted_;
  user.held_bytes_ = target_bytes_;
  target_ = nullptr;
  count_anew(user);
}

bool TableBudget::build_step() {
  if (target_ == nullptr && !start()) return false;
  if (target_->build_slice(target_->wanted_.value())) finish();
  return building_waits();
}

bool TableBudget::may_grow() const {
  const auto may = [](const TableUser* user) { return !user->kept_ && user->next_size().has_value(); };
  return std::any_of(others_.begin(), others_.end(), may) || std::any_of(holders_.begin(), holders_.end(), may);
}

void TableBudget::remove(TableUser& user) {
  std::erase(waiting_, &user);
  if (target_ == &user) {
    bytes_ -= target_bytes_;
    target_ = nullptr;
  }
  bytes_ -= user.held_bytes_;
  (user.held_.has_value() && !user.kept_ ? holders_ : others_).erase(user.place_);
}

}  // namespace postern
