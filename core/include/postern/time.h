// A moment, given by the host: the core never reads a clock.
#pragma once

#include <compare>
#include <cstdint>

namespace postern {

// Milliseconds since the Unix epoch, UTC. Seconds in claims (NumericDate) are converted at the edge.
struct Time {
  std::int64_t unix_ms = 0;

  friend constexpr auto operator<=>(Time, Time) = default;
  [[nodiscard]] constexpr Time plus_ms(std::int64_t ms) const { return Time{unix_ms + ms}; }
  [[nodiscard]] constexpr Time plus_seconds(std::int64_t seconds) const { return plus_ms(seconds * 1000); }
};

}  // namespace postern
