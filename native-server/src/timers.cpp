#include "timers.h"

namespace postern::native {

std::uint64_t Timers::ticks_now() const {
  const auto elapsed = std::chrono::steady_clock::now() - start_;
  return static_cast<std::uint64_t>(elapsed / tick);
}

void Timers::insert(Alarm& alarm, milliseconds after) {
  if (armed_ == 0) done_ = ticks_now();  // nobody looked at the slots while none was armed
  const auto ticks = static_cast<std::uint64_t>((after + tick - milliseconds(1)) / tick);
  alarm.due_ = ticks_now() + ticks + 1;  // the running tick is partly over
  Alarm*& head = heads_[alarm.due_ % slots];
  alarm.next_ = head;
  alarm.link_ = &head;
  if (head != nullptr) head->link_ = &alarm.next_;
  head = &alarm;
  ++armed_;
  if (!waiting_) wait();
}

void Alarm::disarm() {
  if (link_ == nullptr) return;
  *link_ = next_;
  if (next_ != nullptr) next_->link_ = link_;
  next_ = nullptr;
  link_ = nullptr;
  --timers_.armed_;
}

void Timers::wait() {
  waiting_ = true;
  timer_.expires_after(tick);
  timer_.async_wait([this](error_code error) {
    waiting_ = false;
    if (error) return;
    advance();
    if (armed_ > 0 && !waiting_) wait();
  });
}

void Timers::advance() {
  const std::uint64_t now_ticks = ticks_now();
  while (done_ < now_ticks) {
    ++done_;
    // Taken off the wheel first: what rings may arm or disarm any alarm, its neighbours too.
    Alarm* list = heads_[done_ % slots];
    heads_[done_ % slots] = nullptr;
    if (list != nullptr) list->link_ = &list;
    while (list != nullptr) {
      Alarm& alarm = *list;
      alarm.disarm();
      if (alarm.due_ <= done_) {
        alarm.ring_();
      } else {
        Alarm*& head = heads_[alarm.due_ % slots];
        alarm.next_ = head;
        alarm.link_ = &head;
        if (head != nullptr) head->link_ = &alarm.next_;
        head = &alarm;
        ++armed_;
      }
    }
  }
}

}  // namespace postern::native
