#include "key_cache.h"

#include <algorithm>
#include <charconv>
#include <limits>
#include <system_error>
#include <utility>

#include "json.h"
#include "sha256.h"
#include "text.h"

namespace postern {

namespace {

// Auth0 says 15 s and Keycloak 0; asking that often would make the issuer part of every request.
constexpr std::int64_t max_age_seconds_min = 60;
// A host stops a fetch at its time limit; this is for one that never reports.
constexpr std::int64_t lost_after_ms = 1000;
// Hosts measure time in several places; only a clock that was set back by more than this is taken for one.
constexpr std::int64_t clock_jitter_ms = 5000;

constexpr Time never{std::numeric_limits<std::int64_t>::max()};

std::string_view trim(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

bool is_digits(std::string_view text) { return !text.empty() && std::all_of(text.begin(), text.end(), is_digit); }

// "scheme://host:port", lower case, the port spelled out. Nothing for what keys may not come from: any scheme but
// https, http to other hosts than this one, a user, a fragment, and characters that URL parsers disagree about.
std::optional<std::string> secure_origin(std::string_view url) {
  for (const char c : url) {
    if (c <= ' ' || c >= 0x7F || c == '\\' || c == '@' || c == '#' || c == '"' || c == '<' || c == '>') return std::nullopt;
  }
  const std::size_t colon = url.find("://");
  if (colon == std::string_view::npos) return std::nullopt;
  const std::string scheme = lower_case(url.substr(0, colon));
  if (scheme != "https" && scheme != "http") return std::nullopt;
  url.remove_prefix(colon + 3);
  std::string_view authority = url.substr(0, url.find_first_of("/?"));

  const std::size_t host_end = authority.starts_with('[') ? authority.find(']') : authority.find(':');
  std::string host;
  std::string_view port;
  if (authority.starts_with('[')) {
    if (host_end == std::string_view::npos) return std::nullopt;
    host = lower_case(authority.substr(0, host_end + 1));
    port = authority.substr(host_end + 1);
  } else {
    host = lower_case(authority.substr(0, host_end));
    port = host_end == std::string_view::npos ? std::string_view() : authority.substr(host_end);
  }
  const bool plain = std::all_of(host.begin(), host.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '.' || c == '-' || c == '_' || c == ':' || c == '[' ||
           c == ']';
  });
  if (host.empty() || !plain) return std::nullopt;
  if (port.empty()) {
    port = scheme == "https" ? "443" : "80";
  } else {
    port.remove_prefix(1);
    if (authority[authority.size() - port.size() - 1] != ':' || !is_digits(port) || port.size() > 5) return std::nullopt;
  }
  if (scheme == "http" && host != "127.0.0.1" && host != "[::1]" && host != "localhost") return std::nullopt;
  return scheme + "://" + host + ":" + std::string(port);
}

std::string_view without_trailing_slash(std::string_view text) {
  if (text.ends_with('/')) text.remove_suffix(1);
  return text;
}

// OpenID Connect Discovery 4: behind the issuer, whose terminating slash is removed first.
std::string openid_configuration_url(std::string_view issuer) {
  return std::string(without_trailing_slash(issuer)) + "/.well-known/openid-configuration";
}

// RFC 8414 3.1: between the host and the path of the issuer.
std::string oauth_metadata_url(std::string_view issuer) {
  issuer = without_trailing_slash(issuer);
  const std::size_t host = issuer.find("://") + 3;
  const std::size_t path = std::min(issuer.find('/', host), issuer.size());
  return std::string(issuer.substr(0, path)) + "/.well-known/oauth-authorization-server" + std::string(issuer.substr(path));
}

// The smallest max-age of Cache-Control, RFC 9111 5.2.2.1; nothing when none is said.
std::optional<std::int64_t> max_age_of(const std::vector<Header>& headers) {
  std::optional<std::int64_t> smallest;
  for (const Header& header : headers) {
    if (lower_case(header.name) != "cache-control") continue;
    std::string_view rest = header.value;
    while (!rest.empty()) {
      const std::size_t comma = rest.find(',');
      const std::string_view directive = trim(rest.substr(0, comma));
      rest = comma == std::string_view::npos ? std::string_view() : rest.substr(comma + 1);
      const std::size_t equals = directive.find('=');
      if (equals == std::string_view::npos || lower_case(trim(directive.substr(0, equals))) != "max-age") continue;
      std::string_view digits = trim(directive.substr(equals + 1));
      if (digits.size() >= 2 && digits.front() == '"' && digits.back() == '"') digits = digits.substr(1, digits.size() - 2);
      std::int64_t seconds = 0;
      if (!is_digits(digits)) continue;
      if (std::from_chars(digits.data(), digits.data() + digits.size(), seconds).ec != std::errc()) continue;
      smallest = std::min(seconds, smallest.value_or(seconds));
    }
  }
  return smallest;
}

std::string describe(const IncomingResponse& response) {
  if (response.status == 0) return response.timed_out ? "no answer in time" : "no answer";
  return "status " + std::to_string(response.status);
}

}  // namespace

KeyCache::KeyCache(KeyCacheRules rules, std::uint32_t issuer_index, std::shared_ptr<TableBudget> tables)
    : rules_(std::move(rules)),
      tables_(std::move(tables)),
      last_fetch_id_((std::uint64_t{issuer_index} + 1) << 40U),
      tokens_(rules_.unknown_kid_burst) {}

void KeyCache::add_static_keys(std::vector<Jwk> keys) {
  for (Jwk& key : keys) static_keys_.push_back(std::move(key));
  ++generation_;
}

KeyCache::Age KeyCache::age(Time now) const {
  if (!has_set_) return Age::none;
  const std::int64_t age_ms = now.unix_ms - fetched_at_.unix_ms;
  if (age_ms < -clock_jitter_ms) return Age::old;  // the clock was set back: how old the set is cannot be told
  if (age_ms < max_age_seconds_ * 1000) return Age::fresh;
  if (age_ms < (max_age_seconds_ + rules_.stale_seconds_max) * 1000) return Age::old;
  return Age::dead;
}

Time KeyCache::refresh_at() const {
  // Half the age at most, or a short-lived set would be refreshed without end.
  const std::int64_t ahead_ms = std::min(rules_.refresh_ahead_seconds * 1000, max_age_seconds_ * 500);
  return fetched_at_.plus_ms(max_age_seconds_ * 1000 - ahead_ms);
}

bool KeyCache::backing_off(Time now) const {
  // A retry further ahead than any back-off reaches means that the clock was set back.
  return now < retry_at_ && retry_at_ <= now.plus_seconds(rules_.retry_seconds_max);
}

std::int64_t KeyCache::retry_after_seconds(Time until, Time now) const {
  const std::int64_t ms = until.unix_ms - now.unix_ms;
  return std::clamp<std::int64_t>((ms + 999) / 1000, 1, std::max<std::int64_t>(rules_.retry_seconds_max, 1));
}

// Drops the fetches whose carrier is lost. That is a failure too: a host that cannot fetch must not try without end.
void KeyCache::expire(Time now) {
  const auto lost = [&](const Flight& flight) {
    if (!flight.handed_out) return false;
    const std::int64_t left_ms = flight.deadline.unix_ms - now.unix_ms;
    return left_ms <= 0 || left_ms > rules_.fetch_time_limit_ms + lost_after_ms + clock_jitter_ms;
  };
  bool failed = false;
  const auto first_lost = std::remove_if(flights_.begin(), flights_.end(), [&](const Flight& flight) {
    if (!lost(flight)) return false;
    failed = failed || !outdated(flight, now);
    return true;
  });
  flights_.erase(first_lost, flights_.end());
  if (failed) fail("the fetch was not answered", now);
}

// Whether a newer set came meanwhile: what an older fetch says then is history.
bool KeyCache::outdated(const Flight& flight, Time now) const {
  return has_set_ && flight.started < fetched_at_ && fetched_at_ <= now.plus_ms(clock_jitter_ms);
}

void KeyCache::fail(std::string why, Time now) {
  last_fault_ = std::move(why);
  // What was discovered may be what is wrong: the next attempt starts from the issuer again.
  discovered_jwks_uri_.clear();
  oauth_metadata_ = false;
  std::int64_t seconds = rules_.retry_seconds_min;
  for (int i = 0; i < failures_ && seconds < rules_.retry_seconds_max; ++i) seconds *= 2;
  ++failures_;
  retry_at_ = now.plus_seconds(std::min(seconds, rules_.retry_seconds_max));
}

KeyCache::Flight& KeyCache::begin_flight() {
  Flight& flight = flights_.emplace_back();
  flight.fetch_id = ++last_fetch_id_;
  flight.url = rules_.jwks_uri.empty() ? discovered_jwks_uri_ : rules_.jwks_uri;
  if (flight.url.empty()) {
    flight.purpose = FetchPurpose::discovery;
    flight.url = oauth_metadata_ ? oauth_metadata_url(rules_.issuer) : openid_configuration_url(rules_.issuer);
  }
  return flight;
}

Fetch KeyCache::hand_out(Flight& flight, Time now) {
  flight.handed_out = true;
  if (!flight.started) flight.started = now;
  flight.deadline = now.plus_ms(rules_.fetch_time_limit_ms + lost_after_ms);
  Fetch fetch;
  fetch.fetch_id = flight.fetch_id;
  fetch.purpose = flight.purpose;
  fetch.request.method = "GET";
  fetch.request.url = flight.url;
  fetch.request.headers = {{"accept", "application/json"}};
  fetch.bytes_max = flight.purpose == FetchPurpose::keys ? jwk_set_bytes_max : discovery_bytes_max;
  fetch.time_limit_ms = rules_.fetch_time_limit_ms;
  return fetch;
}

// What an exchange does about the flights under way: carry one that nobody carries, wait, or after too long a wait
// start its own. Those draw from the bucket, so a hanging issuer is not asked once for each waiter.
KeyCache::Answer KeyCache::join(Time first_asked, Time now) {
  for (Flight& flight : flights_) {
    if (!flight.handed_out) return hand_out(flight, now);
  }
  const Time until = first_asked.plus_ms(rules_.wait_ms_max);
  if (now < until) return Wait{flights_.back().fetch_id, until};
  if (!backing_off(now) && take_token(now)) return hand_out(begin_flight(), now);
  return Unavailable{retry_after_seconds(flights_.back().deadline, now)};
}

KeyCache::Answer KeyCache::find(std::string_view kid, const Jwa& alg, Time first_asked, Time now) {
  if (!static_keys_.empty()) {
    auto selected = select_key(static_keys_, kid, alg);
    if (selected) return Found{selected.value()};
    if (selected.error() != Error::key_unknown) return selected.error();
  }
  // A fetched set never holds a symmetric key, so there is nothing to ask the issuer.
  if (alg.key_kind == KeyKind::symmetric) return Error::algorithm_not_allowed;

  expire(now);
  switch (age(now)) {
    case Age::none:
    case Age::dead:
      if (!flights_.empty()) return join(first_asked, now);
      if (backing_off(now)) return Unavailable{retry_after_seconds(retry_at_, now)};
      return hand_out(begin_flight(), now);
    case Age::old: {
      // Only an issuer that fails, or is slow, is a reason to go on with keys that it may have removed.
      const bool slow = first_asked.plus_ms(rules_.wait_ms_max) <= now;
      if (failures_ > 0 && (backing_off(now) || !flights_.empty())) break;
      if (flights_.empty()) return hand_out(begin_flight(), now);
      if (slow && std::all_of(flights_.begin(), flights_.end(), [](const Flight& f) { return f.handed_out; })) break;
      return join(first_asked, now);
    }
    case Age::fresh:
      break;
  }

  auto selected = select_key(keys_, kid, alg);
  if (selected) return Found{selected.value()};
  if (selected.error() != Error::key_unknown) return selected.error();
  return find_unknown(kid, alg.key_kind, first_asked, now);
}

// A key that the set does not have: perhaps a new one, more likely an invented name.
KeyCache::Answer KeyCache::find_unknown(std::string_view kid, KeyKind kind, Time first_asked, Time now) {
  // The issuer was asked after the token came: no newer set will have it.
  if (fetched_at_ >= first_asked && fetched_at_ <= now.plus_ms(clock_jitter_ms)) {
    remember_unknown(kid, kind, now);
    return Error::key_unknown;
  }
  if (known_unknown(kid, kind, now)) return Error::key_unknown;
  if (!flights_.empty()) return join(first_asked, now);
  if (backing_off(now)) return Unavailable{retry_after_seconds(retry_at_, now)};
  if (take_token(now)) return hand_out(begin_flight(), now);
  return Unavailable{retry_after_seconds(refilled_at_.plus_seconds(rules_.unknown_kid_refill_seconds), now)};
}

bool KeyCache::take_token(Time now) {
  const std::int64_t refill_ms = std::max<std::int64_t>(rules_.unknown_kid_refill_seconds, 1) * 1000;
  if (tokens_ >= rules_.unknown_kid_burst || now < refilled_at_) {
    refilled_at_ = now;  // a full bucket does not save up
  } else {
    const std::int64_t gained = (now.unix_ms - refilled_at_.unix_ms) / refill_ms;
    tokens_ += gained;
    refilled_at_ = refilled_at_.plus_ms(gained * refill_ms);
    if (tokens_ >= rules_.unknown_kid_burst) {
      tokens_ = rules_.unknown_kid_burst;
      refilled_at_ = now;
    }
  }
  if (tokens_ <= 0) return false;
  --tokens_;
  return true;
}

bool KeyCache::known_unknown(std::string_view kid, KeyKind kind, Time now) {
  const auto over = [&](const UnknownKid& unknown) {
    return now < unknown.learned || now >= unknown.learned.plus_seconds(unknown_kid_seconds);
  };
  while (!unknown_kids_.empty() && over(unknown_kids_.front())) unknown_kids_.pop_front();
  // Without a kid the key is looked for by its kind; with one the kind plays no part.
  return std::any_of(unknown_kids_.begin(), unknown_kids_.end(),
                     [&](const UnknownKid& unknown) { return unknown.kid == kid && (!kid.empty() || unknown.kind == kind); });
}

void KeyCache::remember_unknown(std::string_view kid, KeyKind kind, Time now) {
  if (known_unknown(kid, kind, now)) return;
  if (unknown_kids_.size() >= unknown_kids_max) unknown_kids_.pop_front();
  unknown_kids_.push_back(UnknownKid{std::string(kid), kind, now});
}

bool KeyCache::give(std::uint64_t fetch_id, const IncomingResponse& response, Time now) {
  const auto found = std::find_if(flights_.begin(), flights_.end(),
                                  [&](const Flight& flight) { return flight.fetch_id == fetch_id && flight.handed_out; });
  if (found == flights_.end()) return false;
  const Flight flight = *found;
  flights_.erase(found);
  if (outdated(flight, now)) return true;

  const std::size_t bytes_max = flight.purpose == FetchPurpose::keys ? jwk_set_bytes_max : discovery_bytes_max;
  const std::string what = flight.purpose == FetchPurpose::keys ? "JWK Set: " : "discovery: ";
  if (flight.purpose == FetchPurpose::discovery && response.status == 404 && !oauth_metadata_) {
    // No OpenID provider; perhaps a plain OAuth server. Whoever asks next carries the second question.
    oauth_metadata_ = true;
    begin_flight();
  } else if (response.status != 200) {
    fail(what + describe(response), now);
  } else if (response.body_over_limit || response.body.size() > bytes_max) {
    fail(what + "larger than the limit", now);
  } else if (flight.purpose == FetchPurpose::keys) {
    take_keys(*flight.started, response, now);
  } else {
    take_discovery(response, now);
  }
  return true;
}

void KeyCache::take_discovery(const IncomingResponse& response, Time now) {
  auto document = json::parse(response.body, json::Limits{.depth_max = 16, .values_max = 4096});
  if (!document) return fail("discovery: not strict JSON: " + document.error().what, now);
  const json::Value* issuer = document->find("issuer");
  // OpenID Connect Discovery 4.3: exactly the URL that was asked, or one issuer could speak for another.
  if (issuer == nullptr || !issuer->is_string() || issuer->as_string() != rules_.issuer) {
    return fail("discovery: issuer: is not the configured one", now);
  }
  const json::Value* uri = document->find("jwks_uri");
  if (uri == nullptr || !uri->is_string()) return fail("discovery: jwks_uri: must be a string", now);
  const auto origin = secure_origin(uri->as_string());
  if (!origin) return fail("discovery: jwks_uri: must be an https URL", now);
  const bool listed = std::any_of(rules_.jwks_origins.begin(), rules_.jwks_origins.end(),
                                  [&](const std::string& listed_origin) { return secure_origin(listed_origin) == origin; });
  if (!listed && secure_origin(rules_.issuer) != origin) {
    return fail("discovery: jwks_uri: is on an origin that is not the issuer's or a listed one", now);
  }
  discovered_jwks_uri_ = uri->as_string();
  // The attempt goes on; whoever asks next carries its second half.
  begin_flight();
}

// The set of this document is the set from now on; an unchanged one keeps its imported keys.
std::optional<JwkFault> KeyCache::replace_set(const std::string& jwks) {
  const auto digest = sha256::digest(jwks);
  if (has_set_ && digest == body_digest_) return std::nullopt;
  auto set = parse_jwk_set(jwks);
  if (!set) return set.error();
  keys_ = std::move(set->keys);  // the old ones' tables go with them
  if (tables_ != nullptr) {
    for (Jwk& key : keys_) key.key.use_tables(tables_);
  }
  skipped_ = std::move(set->skipped);
  body_ = jwks;
  body_digest_ = digest;
  has_set_ = true;
  ++generation_;
  return std::nullopt;
}

void KeyCache::take_keys(Time started, const IncomingResponse& response, Time now) {
  if (const auto fault = replace_set(response.body)) {
    return fail("JWK Set: key " + std::to_string(fault->index) + ": " + fault->what, now);
  }
  fetched_at_ = started;
  max_age_seconds_ = rules_.max_age_seconds;
  if (const auto said = max_age_of(response.headers)) {
    max_age_seconds_ = std::min(max_age_seconds_, std::max(*said, max_age_seconds_min));
  }
  ++fetches_;
  failures_ = 0;
  retry_at_ = Time{};
  last_fault_.clear();
}

std::optional<KeySnapshot> KeyCache::snapshot() const {
  if (!has_set_) return std::nullopt;
  return KeySnapshot{fetched_at_, max_age_seconds_, body_};
}

bool KeyCache::restore(const KeySnapshot& snapshot, Time now) {
  const std::int64_t max_age_seconds = std::min(snapshot.max_age_seconds, rules_.max_age_seconds);
  const std::int64_t age_ms = now.unix_ms - snapshot.fetched_at.unix_ms;
  if (max_age_seconds < 0 || snapshot.jwks.size() > jwk_set_bytes_max) return false;
  if (age_ms < -clock_jitter_ms || age_ms >= (max_age_seconds + rules_.stale_seconds_max) * 1000) return false;
  if (has_set_ && snapshot.fetched_at <= fetched_at_) return false;
  if (replace_set(snapshot.jwks)) return false;
  fetched_at_ = snapshot.fetched_at;
  max_age_seconds_ = max_age_seconds;
  return true;
}

void KeyCache::abandon(std::uint64_t fetch_id) {
  for (Flight& flight : flights_) {
    if (flight.fetch_id == fetch_id) flight.handed_out = false;
  }
}

std::optional<Fetch> KeyCache::due(Time now) {
  expire(now);
  for (Flight& flight : flights_) {
    if (!flight.handed_out) return hand_out(flight, now);
  }
  if (!has_set_ || !flights_.empty() || backing_off(now)) return std::nullopt;
  if (now < refresh_at() && age(now) == Age::fresh) return std::nullopt;
  return hand_out(begin_flight(), now);
}

Time KeyCache::due_at() const {
  Time earliest = never;
  for (const Flight& flight : flights_) {
    earliest = std::min(earliest, flight.handed_out ? flight.deadline : Time{});
  }
  if (!flights_.empty() || !has_set_) return earliest;
  return std::max(refresh_at(), retry_at_);
}

}  // namespace postern
