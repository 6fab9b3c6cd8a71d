// Time-outs: a wheel of coarse slots instead of one heap-allocated timer per operation.
//
// Almost every alarm is disarmed before it rings, so arming and disarming are a few pointer writes.
// It rings up to two ticks late and never early.
#pragma once

#include <array>
#include <cstdint>
#include <functional>

#include "io.h"

namespace postern::native {

class Alarm;

class Timers {
 public:
  static constexpr milliseconds tick{100};

  explicit Timers(asio::io_context& io) : timer_(io) {}
  Timers(const Timers&) = delete;
  Timers& operator=(const Timers&) = delete;

 private:
  friend class Alarm;
  // 1024 slots of 100 ms hold every limit used here in one turn; longer ones go round again.
  static constexpr std::size_t slots = 1024;

  void insert(Alarm& alarm, milliseconds after);
  void wait();
  void advance();
  [[nodiscard]] std::uint64_t ticks_now() const;

  SteadyTimer timer_;
  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
  std::array<Alarm*, slots> heads_{};
  std::uint64_t done_ = 0;  // slots up to this tick were looked at
  std::size_t armed_ = 0;
  bool waiting_ = false;
};

class Alarm {
 public:
  Alarm(Timers& timers, std::function<void()> ring) : timers_(timers), ring_(std::move(ring)) {}
  Alarm(const Alarm&) = delete;
  Alarm& operator=(const Alarm&) = delete;
  ~Alarm() { disarm(); }

  // Armed again, only the new time counts.
  void arm(milliseconds after) {
    disarm();
    timers_.insert(*this, after);
  }
  void disarm();

 private:
  friend class Timers;
  Timers& timers_;
  std::function<void()> ring_;
  Alarm* next_ = nullptr;
  Alarm** link_ = nullptr;  // what points at this alarm; null while it is not armed
  std::uint64_t due_ = 0;
};

}  // namespace postern::native
