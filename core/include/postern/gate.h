// The gate: a configuration and its keys, from which each request gets an exchange of steps.
//
//   auto gate = Gate::create(text, environment);            // or a ConfigError to show a person
//   auto exchange = gate->open(head, now);
//   for (;;) { Step step = exchange->next(now); ...carry it out, give the result... }
//
// One thread uses a Gate. It does no I/O and reads no clock, no randomness and no global.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "postern/config.h"
#include "postern/filter_form.h"
#include "postern/request.h"
#include "postern/result.h"
#include "postern/step.h"
#include "postern/time.h"

namespace postern {

enum class Purpose : std::uint8_t {
  handle,        // authenticate, authorize and forward
  authenticate,  // stop after the user is known: the final step is Authenticated or Respond
};

class GateState;

// One request on its way. Destroying it tells the gate that the client left.
class Exchange {
 public:
  virtual ~Exchange() = default;

  // The step to carry out now. Call it again once the result was given: for a Fetch by Gate::give, for
  // a ReadBody or an inspected Forward by give() here, for a Wait when its fetch was given or its time
  // has come. Asking on without giving is a host's bug and ends in 500. After Respond, Authenticated or
  // a Forward with ReplyMode::pass the exchange is over.
  [[nodiscard]] virtual Step next(Time now) = 0;

  // The client's body for a ReadBody step, or the upstream's reply for an inspected Forward.
  // A result for another step or kind ends the exchange in 500 (never in a Forward).
  virtual void give(std::uint64_t step_id, BodyResult body, Time now) = 0;
  virtual void give(std::uint64_t step_id, IncomingResponse reply, Time now) = 0;

  // For a CallHandler, as soon as the function has answered.
  virtual void give(std::uint64_t step_id, HandlerResult result, Time now) = 0;

#ifdef POSTERN_WASM
  // For a VerifySignature.
  virtual void give(std::uint64_t step_id, SignatureVerdict verdict, Time now) = 0;
#endif

  // The host could not carry out the step: the exchange ends in 500.
  virtual void fail(std::uint64_t step_id) = 0;
};

// Work that belongs to no exchange: keys to be fetched ahead of need.
struct Due {
  std::vector<Fetch> fetches;
  Time next_at;  // call due() again then; not after the `now` it was called with: at once, but after whatever else waits
};

class Gate {
 public:
  // `config` is JSON with comments (docs/configuration.md). `environment` resolves "$NAME" in secret
  // fields. Errors name line, column, what is wrong and how to mend it.
  // `handlers`: what the host program answers CallHandler steps with; without any there is no such step. With `on` handlers and
  // no `policy` the handlers decide alone.
  [[nodiscard]] static Result<Gate, ConfigError> create(std::string_view config, const Environment& environment = {},
                                                        HostHandlers handlers = {});

  Gate(Gate&&) noexcept;
  Gate& operator=(Gate&&) noexcept;
  ~Gate();

  [[nodiscard]] std::unique_ptr<Exchange> open(const RequestHead& head, Time now, Purpose purpose = Purpose::handle);

  // Switches the cache of verified tokens on (`token_cache` of the configuration), under 16 bytes that nobody can guess,
  // made for this gate alone. Called again it empties the cache. False: the configuration wants none, and `recall` knows nobody.
  bool seed(const std::array<std::uint8_t, 16>& random);

  // A user that an exchange of this gate's found before, for hosts that keep what they made of it: where an exchange opened with
  // Purpose::authenticate and this Authorization header would end in Authenticated at once, its slot and serial. A slot is a
  // small number that is used again; its serial is then another. nullopt: open an exchange.
  struct Recalled {
    std::uint32_t slot;
    std::uint32_t serial;
  };
  [[nodiscard]] std::optional<Recalled> recall(std::string_view authorization, Time now);

#ifdef POSTERN_WASM
  // From now on exchanges ask the host about signatures of these algorithms (RSA ones; others are ignored). Called by host
  // code alone: the configuration cannot name a verifier, only forbid one (`"verifier": "portable"`).
  void use_host_verifier(const std::vector<std::string>& algorithms);
  // The public key of a VerifySignature as a JWK; "" for a handle that no key has (any more).
  [[nodiscard]] std::string key_jwk(std::uint64_t key_handle) const;
#endif

  // The answer to a Fetch, whoever carried it. An unknown or already answered id is dropped.
  void give(std::uint64_t fetch_id, IncomingResponse response, Time now);

  // Keys that should be fetched now although no request waits for them. Each fetch is handed out once. A `next_at` of `now` says
  // that tables for busy keys wait to be built: the next call builds a slice of one (under a millisecond, also in wasm), so that
  // one is to be made when no request waits for the thread.
  [[nodiscard]] Due due(Time now);

  // The fetched keys as text, for a second-level cache (a file, the edge's Cache API) under a name that only this gate
  // uses: whoever can write there decides who gets in. Holds public keys, when each set was fetched, and a digest of
  // the configuration that they were fetched under. "" when there is nothing to keep.
  [[nodiscard]] std::string export_keys() const;
  // Takes up what export_keys gave, elsewhere or before. Returns how many issuers' keys were taken: 0 for text that is
  // not ours, of another configuration, past the stale bound, from the future, or no newer than what is in use.
  std::size_t import_keys(std::string_view text, Time now);
  // Changes when export_keys has something new to keep.
  [[nodiscard]] std::uint64_t keys_version() const;
  // Why keys could not be had at the last try, a line for each issuer that failed; for logs.
  [[nodiscard]] std::vector<std::string> key_faults() const;

  // Replaces the host's denylist, the text of a file, a KV or Redis: JSON as the configuration's `denylist`, which always
  // counts as well. Gives the number of entries; a fault leaves the list as it was.
  [[nodiscard]] Result<std::size_t, ConfigError> set_denylist(std::string_view text);
  // Whether the caller behind an open stream has been denied since: `credential` as its Forward had it. Text that is no
  // such is denied; "" (nobody's) is not.
  [[nodiscard]] bool is_denied(std::string_view credential) const;

  // What would happen to this request, as a JSON object: user, route, rule, filter, edits and the
  // first step that leaves the gate. Needs no network when the issuer's keys are in the configuration.
  [[nodiscard]] std::string explain(const RequestHead& head, std::string_view body, Time now);

  // What `user` may touch, for a backend of the host's own: the policy's answer before any object is looked at, as the JSON
  // object {kind, rule, langgraph, sql, jsonb, cerbos} of docs/filters.md. `user` is the JSON text
  // {"identity", "display_name"?, "permissions"?, "claims"?} of somebody the host has authenticated; resource and action are
  // LangGraph's words ("threads", "read"). The error says what is wrong with the arguments: a user or form that is none, a
  // resource or action that is none, or the store, whose rules are about namespaces instead of metadata.
  [[nodiscard]] Result<std::string, ConfigError> filter_for(std::string_view user, std::string_view resource,
                                                            std::string_view action, const FilterForm& form = {}) const;
  // Whether that answer admits one object, for a backend that cannot be asked with a filter. `metadata` is the object's
  // metadata as JSON text; text that is no JSON object is admitted only where everything is. Errors as above.
  [[nodiscard]] Result<bool, ConfigError> filter_matches(std::string_view user, std::string_view resource,
                                                         std::string_view action, std::string_view metadata) const;

  // Facts a host must know from the configuration.
  [[nodiscard]] const std::string& upstream_url() const;
  [[nodiscard]] const std::vector<std::string>& warnings() const;  // to be shown at start, one line each

 private:
  explicit Gate(std::unique_ptr<GateState> state);
  std::unique_ptr<GateState> state_;
};

}  // namespace postern
