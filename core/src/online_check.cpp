#include "online_check.h"

#include <algorithm>

#include "base64url.h"
#include "claims.h"
#include "escape.h"
#include "json.h"
#include "jws.h"
#include "reply.h"
#include "sha256.h"
#include "text.h"

namespace postern {
namespace {

// How long an exchange waits for another's fetch before it makes its own: as with keys.
constexpr std::int64_t wait_ms_max = 2000;
// After a failure the same token asks again at the earliest after so long.
constexpr std::int64_t failure_seconds = 1;
// What an entry costs beside its texts, roughly.
constexpr std::size_t entry_bytes = 400;

// RFC 7617: ordinary base64, with padding.
std::string basic_authorization(std::string_view id, std::string_view secret) {
  std::string encoded = base64url::encode(percent_encode(id) + ":" + percent_encode(secret));  // RFC 6749 section 2.3.1
  std::replace(encoded.begin(), encoded.end(), '-', '+');
  std::replace(encoded.begin(), encoded.end(), '_', '/');
  while (encoded.size() % 4 != 0) encoded += '=';
  return "Basic " + encoded;
}

std::optional<Time> time_member(const json::Element& object, std::string_view name) {
  return numeric_date(object.find(name), name == "nbf" ? json::Rounding::up : json::Rounding::down);
}

// What a JWT says of itself, which nobody here has verified; nothing of any other token. It is asked for `exp`, which can only
// shorten what is remembered, and, once the authority has accepted the token, for the names that a denylist may have of it.
json::Document claims_of_token(std::string_view token) {
  auto parsed = parse_jws(token);
  const auto payload = parsed ? parse_payload(std::move(parsed->payload)) : Result<json::Document>(parsed.error());
  return payload ? payload.value() : json::Document();
}

// RFC 7662 section 2.2: what kind of token it is. Authorities also know refresh tokens, ID tokens and tokens that are bound to a
// key (RFC 8705, RFC 9449), which is not shown here; none of them is a bearer token. `token_use` is Hydra's word for the same.
bool is_bearer_token(const json::Element& reply) {
  if (reply.find("cnf")) return false;
  for (const std::string_view name : {"token_type", "token_use"}) {
    const json::Element kind = reply.find(name);
    if (!kind) continue;
    const std::string text = lower_case(kind.as_string());
    if (text != "bearer" && text != "access_token") return false;
  }
  return true;
}

bool names_audience(const json::Element& reply, const std::vector<std::string>& wanted) {
  const json::Element audience = reply.find("aud");
  const auto listed = [&](const json::Element& one) {
    return one.is_string() && std::find(wanted.begin(), wanted.end(), one.as_string()) != wanted.end();
  };
  if (!audience.is_array()) return listed(audience);
  for (json::Element item = audience.first(); item; item = item.next_of(audience)) {
    if (listed(item)) return true;
  }
  return false;
}

std::size_t bytes_of(const User& user) {
  std::size_t bytes = entry_bytes + user.identity.size() + user.display_name.size() + user.claims_json.size() +
                      user.fields_json.size() + user.credential.issuer.size() + user.credential.subject.size();
  for (const std::string& permission : user.permissions) bytes += sizeof(std::string) + permission.size();
  return bytes;
}

}  // namespace

const OnlineCheck::Word* OnlineCheck::Memory::find(const std::string& digest, Time now) const {
  const auto found = entries_.find(digest);
  return found == entries_.end() || now >= found->second.until ? nullptr : &found->second.word;
}

void OnlineCheck::Memory::remember(const std::string& digest, Word word, std::size_t bytes, Time until) {
  forget(digest);
  entries_[digest] = Entry{std::move(word), bytes, until, ++last_number_};
  order_.emplace_back(digest, last_number_);
  bytes_ += bytes;
  // Names of entries that were replaced go too: the list is never longer than twice the entries.
  while (!order_.empty() && (entries_.size() > entries_max_ || bytes_ > bytes_max_ || order_.size() > 2 * entries_.size() + 16)) {
    const auto& [oldest, number] = order_.front();
    if (const auto found = entries_.find(oldest); found != entries_.end() && found->second.number == number) forget(oldest);
    order_.pop_front();
  }
}

void OnlineCheck::Memory::forget(const std::string& digest) {
  const auto found = entries_.find(digest);
  if (found == entries_.end()) return;
  bytes_ -= found->second.bytes;
  entries_.erase(found);
}

OnlineCheck::OnlineCheck(OnlineCheckSettings settings, std::uint64_t first_fetch_id)
    : settings_(std::move(settings)), last_fetch_id_(first_fetch_id) {}

bool OnlineCheck::applies(std::string_view token) const {
  return settings_.kind != OnlineCheckSettings::Kind::supabase || parse_jws(token).ok();
}

OnlineCheck::Answer OnlineCheck::find(std::string_view token, Time first_asked, Time now) {
  if (token.size() > jws_bytes_max) return Error::token_too_large;
  const auto bytes = sha256::digest(token);
  const std::string digest(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  if (const Word* known = users_.find(digest, now)) return known->user;
  if (const Word* known = refusals_.find(digest, now)) return known->error;
  if (failures_.find(digest, now) != nullptr) return Unavailable{failure_seconds};
  if (settings_.kind == OnlineCheckSettings::Kind::supabase) {
    // Who writes `exp` into a token cannot gain by it: it is past, so the authority would say no.
    if (const auto expires_at = time_member(claims_of_token(token).root(), "exp"); expires_at && now >= *expires_at)
      return Error::token_expired;
  }

  std::erase_if(flights_, [&](const Flight& flight) { return now >= flight.deadline; });
  const Time patience = first_asked.plus_ms(wait_ms_max);
  const auto flight = std::find_if(flights_.rbegin(), flights_.rend(), [&](const Flight& one) { return one.digest == digest; });
  if (flight != flights_.rend() && now < patience) return Wait{flight->fetch_id, std::min(patience, flight->deadline)};
  if (flights_.size() >= online_flights_max) return Unavailable{failure_seconds};
  return begin_flight(digest, token, now);
}

Fetch OnlineCheck::begin_flight(const std::string& digest, std::string_view token, Time now) {
  Flight flight;
  flight.fetch_id = ++last_fetch_id_;
  flight.digest = digest;
  flight.token = token;
  flight.deadline = now.plus_ms(settings_.time_limit_ms + 1000);  // a host that is busy answers a little late
  Fetch fetch{flight.fetch_id, FetchPurpose::introspection, request_for(token), online_reply_bytes_max, settings_.time_limit_ms};
  flights_.push_back(std::move(flight));
  return fetch;
}

OutgoingRequest OnlineCheck::request_for(std::string_view token) const {
  OutgoingRequest request;
  request.url = settings_.url;
  request.headers.push_back({"accept", "application/json"});
  if (settings_.kind == OnlineCheckSettings::Kind::supabase) {
    request.method = "GET";
    request.headers.push_back({"authorization", "Bearer " + std::string(token)});
    request.headers.push_back({"apikey", settings_.apikey});
    return request;
  }
  // RFC 7662 section 2.1
  request.method = "POST";
  request.headers.push_back({"authorization", basic_authorization(settings_.client_id, settings_.client_secret)});
  request.headers.push_back({"content-type", "application/x-www-form-urlencoded"});
  request.body = "token=" + percent_encode(token) + "&token_type_hint=access_token";
  return request;
}

bool OnlineCheck::give(std::uint64_t fetch_id, const IncomingResponse& response, Time now) {
  const auto found = std::find_if(flights_.begin(), flights_.end(), [&](const Flight& one) { return one.fetch_id == fetch_id; });
  if (found == flights_.end()) return false;
  const Flight flight = std::move(*found);
  flights_.erase(found);
  learn(flight, response, now);
  return true;
}

void OnlineCheck::abandon(std::uint64_t fetch_id) {
  std::erase_if(flights_, [fetch_id](const Flight& flight) { return flight.fetch_id == fetch_id; });
}

void OnlineCheck::learn(const Flight& flight, const IncomingResponse& response, Time now) {
  const bool supabase = settings_.kind == OnlineCheckSettings::Kind::supabase;
  // GoTrue: 401 and 403 for a token it does not take, 404 for a user who is gone. RFC 7662 says it in the body instead; its
  // 401 is about the gate's own credential.
  if (supabase && (response.status == 401 || response.status == 403 || response.status == 404)) {
    return refuse(flight, Error::credential_refused, now);
  }
  const auto parsed = response.status == 200 && !response.body_over_limit
                          ? json::parse_document(response.body)
                          : Result<json::Document, json::ParseFault>(json::ParseFault{});
  const json::Element reply = parsed ? parsed->root() : json::Element();
  if (!reply.is_object()) {
    failures_.remember(flight.digest, {}, 1, now.plus_seconds(failure_seconds));
    return;
  }
  if (supabase) {
    const json::Document claims = claims_of_token(flight.token);
    return learn_user(flight, reply, claims.root(), time_member(claims.root(), "exp"), now);
  }
  learn_introspection(flight, reply, now);
}

void OnlineCheck::learn_introspection(const Flight& flight, const json::Element& reply, Time now) {
  // RFC 7662 section 2.2. Anything but a plain true is no.
  if (!reply.find("active").as_boolean()) return refuse(flight, Error::credential_refused, now);
  if (!settings_.audiences.empty() && !names_audience(reply, settings_.audiences)) {
    return refuse(flight, Error::audience_mismatch, now);
  }
  const json::Element issuer = reply.find("iss");
  if (!settings_.issuer.empty() && issuer && issuer.as_string() != settings_.issuer) {
    return refuse(flight, Error::issuer_mismatch, now);
  }
  for (const std::string_view name : {"exp", "nbf"}) {
    if (reply.find(name) && !time_member(reply, name)) return refuse(flight, Error::claim_malformed, now);
  }
  if (const auto not_before = time_member(reply, "nbf"); not_before && now < *not_before) {
    return refuse(flight, Error::token_not_yet_valid, now);
  }
  if (!is_bearer_token(reply)) return refuse(flight, Error::token_kind_not_allowed, now);
  learn_user(flight, reply, reply, time_member(reply, "exp"), now);
}

void OnlineCheck::learn_user(const Flight& flight, const json::Element& reply, const json::Element& names,
                             std::optional<Time> expires_at, Time now) {
  const ClaimSet said(reply);
  const std::string_view text = find_claim(said, settings_.identity_claim).as_string();
  if (!is_identity(text)) return refuse(flight, Error::identity_malformed, now);
  Time until = now.plus_seconds(settings_.cache_seconds);
  if (expires_at) {
    if (now >= *expires_at) return refuse(flight, Error::token_expired, now);
    until = std::min(until, *expires_at);
  }
  User user = make_user(said, text, settings_.identity_prefix, settings_.mapping);
  user.claims_json = json::write(reply.to_value());
  user.credential.token_id = names.find("jti").as_string();
  user.credential.issued_at = time_member(names, "iat");
  if (user.credential.issuer.empty()) user.credential.issuer = settings_.issuer;
  if (user.credential.subject.empty()) user.credential.subject = text;
  const std::size_t bytes = bytes_of(user);
  refusals_.forget(flight.digest);
  failures_.forget(flight.digest);
  users_.remember(flight.digest, {std::make_shared<const User>(std::move(user)), {}}, bytes, until);
}

void OnlineCheck::refuse(const Flight& flight, Error error, Time now) {
  users_.forget(flight.digest);
  refusals_.remember(flight.digest, {nullptr, error}, 1, now.plus_seconds(settings_.negative_cache_seconds));
}

}  // namespace postern
