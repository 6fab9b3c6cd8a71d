// The script language of exchange_fuzz: one line, one thing that a client, a host or an upstream does. A finding is a file
// that can be read.
//
//   config NAME                        first line: owner secret remote discovered open members either reading
//   header NAME: VALUE                 for the next open or explain
//   open SLOT TOKEN METHOD TARGET      a client's request; the first step is taken
//   authenticate SLOT TOKEN            the same with Purpose::authenticate
//   body SLOT TEXT                     the client's body; the next step is taken
//   body_over SLOT | body_failed SLOT
//   reply SLOT STATUS TEXT             the answer to the Fetch or the inspected Forward under way; the next step is taken
//   no_reply SLOT | timed_out SLOT | reply_over SLOT
//   next SLOT                          asking on, whether there is a reason to or not
//   wrong_step SLOT TEXT               a body for another step
//   wrong_kind SLOT STATUS TEXT        a reply where a body is wanted, a body where a reply is
//   again SLOT STATUS TEXT             the last Fetch answered once more
//   fail SLOT | drop SLOT              the host gives up; the client leaves
//   stray NUMBER STATUS TEXT           an answer to a Fetch that nobody sent
//   due STATUS TEXT                    work that belongs to no exchange, carried out at once
//   time SECONDS                       the clock moves, perhaps backwards
//   restart                            the keys are kept, the gate is made anew
//   explain TOKEN METHOD TARGET TEXT
//
// $A and $B in a text are thread ids, $R is a run's, $S is a system assistant's, $O another's; $jwks the issuer's keys;
// $discovery its metadata.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "fuzz/mutate_json.h"

namespace postern::fuzz {

inline constexpr std::string_view thread_a = "11111111-1111-4111-8111-111111111111";
inline constexpr std::string_view thread_b = "22222222-2222-4222-8222-222222222222";
inline constexpr std::string_view run = "44444444-4444-4444-8444-444444444444";
inline constexpr std::string_view system_assistant = "fe096781-5601-53d2-b2f6-0d3403f7e9ca";
inline constexpr std::string_view other_assistant = "33333333-3333-4333-8333-333333333333";

struct Line {
  std::string op;
  std::vector<std::string> words;  // those that the op has
  std::string text;                // what is left, placeholders replaced
};

// $jwks: two of the fixed keys; each costs an import in every run.
[[nodiscard]] const std::string& published_keys();

// Lines that say nothing are left out. At most 64: a script is to be read.
[[nodiscard]] std::vector<Line> parse_script(std::string_view script);

// Whole lines come, go, move and change places; scenes that make sense are put in; JSON inside stays JSON mostly.
[[nodiscard]] std::string mutate_script(std::string_view script, std::size_t size_max, Random& random);

}  // namespace postern::fuzz
