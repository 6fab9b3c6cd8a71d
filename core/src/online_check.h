// One authority that knows tokens, over time: a bearer token -> who it is, or what must be fetched first. A pure state
// machine driven by `now` and fetch results; it never fetches.
//
// Good answers serve for cache_seconds and never past the token's own end; bad ones for negative_cache_seconds; a failure
// for one second, in which the token is answered 503 and the authority is left alone. The same token is asked about once,
// however many requests carry it (single flight). All three memories are bounded and keyed by the token's SHA-256, which
// nobody can make collide; the token itself is kept only while it is asked about.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "credential_settings.h"
#include "postern/step.h"
#include "postern/time.h"

namespace postern {

// A user object is some kilobytes, most of it metadata.
inline constexpr std::size_t online_reply_bytes_max = 64 * 1024;
// Tokens that are asked about at once. Each holds a connection of the host's for up to the time limit.
inline constexpr std::size_t online_flights_max = 256;
// Bytes of remembered users: a few thousand of them, a sixteenth of the smallest host (128 MB).
inline constexpr std::size_t online_cache_bytes_max = 8 * 1024 * 1024;
// Remembered bad tokens and failures: whoever invents tokens pushes out other bad ones only.
inline constexpr std::size_t online_refusals_max = 4096;

class OnlineCheck {
 public:
  struct Unavailable {
    std::int64_t retry_after_seconds;
  };
  // Error: what the authority said of it, or token_too_large, or of a Supabase token token_expired, unasked.
  using Answer = std::variant<std::shared_ptr<const User>, Fetch, Wait, Unavailable, Error>;

  // `first_fetch_id`: fetch ids of this check count up from it.
  OnlineCheck(OnlineCheckSettings settings, std::uint64_t first_fetch_id);

  // Whether this authority could know the token: Supabase's are JWTs, another's may be anything.
  [[nodiscard]] bool applies(std::string_view token) const;

  // `first_asked`: when this exchange first asked. One that waited two seconds for another's fetch gets its own.
  [[nodiscard]] Answer find(std::string_view token, Time first_asked, Time now);

  // The answer to one of this check's fetches; false when the id is not one under way.
  bool give(std::uint64_t fetch_id, const IncomingResponse& response, Time now);
  // Nobody will carry this fetch.
  void abandon(std::uint64_t fetch_id);

 private:
  struct Flight {
    std::uint64_t fetch_id = 0;
    std::string digest;
    std::string token;
    Time deadline;  // when its carrier is taken for lost
  };
  // What an authority said of a token: a user, or why not. Of a failure there is neither to tell.
  struct Word {
    std::shared_ptr<const User> user;
    Error error{};
  };
  // Remembers words until their time, the oldest making room for new ones.
  class Memory {
   public:
    Memory(std::size_t entries_max, std::size_t bytes_max) : entries_max_(entries_max), bytes_max_(bytes_max) {}
    [[nodiscard]] const Word* find(const std::string& digest, Time now) const;
    void remember(const std::string& digest, Word word, std::size_t bytes, Time until);
    void forget(const std::string& digest);

   private:
    struct Entry {
      Word word;
      std::size_t bytes = 0;
      Time until;
      std::uint64_t number = 0;  // tells an entry from an older one of the same digest in `order_`
    };
    std::size_t entries_max_;
    std::size_t bytes_max_;
    std::size_t bytes_ = 0;
    std::uint64_t last_number_ = 0;
    std::map<std::string, Entry> entries_;
    std::deque<std::pair<std::string, std::uint64_t>> order_;  // oldest first
  };

  [[nodiscard]] Fetch begin_flight(const std::string& digest, std::string_view token, Time now);
  [[nodiscard]] OutgoingRequest request_for(std::string_view token) const;
  void learn(const Flight& flight, const IncomingResponse& response, Time now);
  // `names`: where `jti` and `iat` stand.
  void learn_user(const Flight& flight, const json::Element& reply, const json::Element& names, std::optional<Time> expires_at,
                  Time now);
  void learn_introspection(const Flight& flight, const json::Element& reply, Time now);
  void refuse(const Flight& flight, Error error, Time now);

  OnlineCheckSettings settings_;
  std::uint64_t last_fetch_id_;
  std::vector<Flight> flights_;
  Memory users_{100'000, online_cache_bytes_max};
  Memory refusals_{online_refusals_max, online_refusals_max};
  Memory failures_{online_refusals_max, online_refusals_max};
};

}  // namespace postern
