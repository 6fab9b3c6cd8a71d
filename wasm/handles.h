// Numbers for objects that live in this instance: (slot, generation), never an address.
//
// A handle of a closed object is refused, not followed. Free slots are reused oldest first, so a handle
// comes back only after capacity x 2^20 others. The host adds the instance's epoch (invariant handles).
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <utility>
#include <vector>

namespace postern {

template <typename T, std::uint32_t capacity>
class Handles {
  static_assert(capacity <= 4096, "a slot has 12 bits");

 public:
  [[nodiscard]] bool full() const { return free_.empty() && slots_.size() == capacity; }

  // 0 when full; no handle is ever 0.
  [[nodiscard]] std::uint32_t add(std::unique_ptr<T> object) {
    if (full()) return 0;
    std::uint32_t index = 0;
    if (slots_.size() < capacity && free_.size() < reuse_distance_min) {
      index = static_cast<std::uint32_t>(slots_.size());
      slots_.emplace_back();
    } else {
      index = free_.front();
      free_.pop_front();
    }
    Slot& slot = slots_[index];
    slot.generation = slot.generation == generation_max ? 1 : slot.generation + 1;
    slot.object = std::move(object);
    return slot.generation << 12 | index;
  }

  [[nodiscard]] T* find(std::uint32_t handle) {
    const std::uint32_t index = handle & 0xfff;
    if (index >= slots_.size()) return nullptr;
    Slot& slot = slots_[index];
    return slot.generation == handle >> 12 ? slot.object.get() : nullptr;
  }

  // A handle that is no longer (or never was) good is ignored: closing twice is harmless.
  void remove(std::uint32_t handle) {
    if (find(handle) == nullptr) return;
    const std::uint32_t index = handle & 0xfff;
    slots_[index].object.reset();
    free_.push_back(index);
  }

  template <typename Condition>
  void remove_if(Condition condition) {
    for (std::uint32_t index = 0; index < slots_.size(); ++index) {
      Slot& slot = slots_[index];
      if (slot.object == nullptr || !condition(*slot.object)) continue;
      slot.object.reset();
      free_.push_back(index);
    }
  }

 private:
  static constexpr std::uint32_t generation_max = 0xf'ffff;
  // New slots are made only while few wait for reuse: memory follows the load, not the capacity.
  static constexpr std::size_t reuse_distance_min = capacity < 64 ? capacity : 64;

  struct Slot {
    std::unique_ptr<T> object;
    std::uint32_t generation = 0;
  };
  std::vector<Slot> slots_;
  std::deque<std::uint32_t> free_;
};

}  // namespace postern
