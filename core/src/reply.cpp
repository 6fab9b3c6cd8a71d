#include "reply.h"

#include <algorithm>
#include <array>

#include "text.h"

namespace postern {
namespace {

constexpr std::array<std::string_view, 6> origin_headers = {"access-control-allow-origin",   "access-control-allow-credentials",
                                                            "access-control-expose-headers", "access-control-allow-methods",
                                                            "access-control-allow-headers",  "access-control-max-age"};

// RFC 9110 section 7.6.1, and what an inspected reply gets anew.
constexpr std::array<std::string_view, 10> hop_by_hop_headers = {
    "connection",        "keep-alive", "proxy-authenticate", "proxy-authorization", "te", "trailer",
    "transfer-encoding", "upgrade",    "content-length",     "content-encoding"};

// Bounds the memory that one reply costs while it is judged: a tree takes about a hundred bytes a value, an edge
// isolate has 128 MB.
constexpr json::Limits reply_limits{.depth_max = 128, .values_max = 400'000};

std::string challenge(Error error) {
  // RFC 6750 section 3.1: no error word when the request carried no credential.
  if (error == Error::credential_missing) return "Bearer";
  const int status = http_status(error);
  const std::string_view word = status == 400 ? "invalid_request" : status == 403 ? "insufficient_scope" : "invalid_token";
  return "Bearer error=\"" + std::string(word) + "\", error_description=\"" + std::string(sentence(error)) + "\"";
}

}  // namespace

Respond refusal_reply(const Refusal& refusal) {
  const Refusal::Details& details = refusal.details();
  const Error error = refusal.error();
  Respond out;
  out.status = details.status != 0 ? details.status : http_status(error);
  out.error = error;
  out.headers.push_back({"content-type", "application/json"});
  out.headers.push_back({"cache-control", "no-store"});
  const bool about_credential =
      out.status == 401 || error == Error::credential_malformed || error == Error::credential_duplicated;
  if (about_credential) out.headers.push_back({"www-authenticate", challenge(error)});
  if (error == Error::scope_insufficient) {
    out.headers.push_back({"www-authenticate", challenge(error) + ", scope=\"" + details.scope + "\""});
  }
  if (out.status == 503) out.headers.push_back({"retry-after", std::to_string(details.retry_after_seconds)});
  if (!details.allow.empty()) out.headers.push_back({"allow", details.allow});
  for (const Header& header : details.headers) {
    std::string name = lower_case(header.name);
    if (is_one_of(name, hop_by_hop_headers) || is_dropped_reply_header(name) || name == "content-type") continue;
    // A handler's own challenge or date stands in the place of the usual one.
    std::erase_if(out.headers, [&](const Header& usual) { return usual.name == name && name != "set-cookie"; });
    out.headers.push_back({std::move(name), header.value});
  }
  out.body = "{\"detail\":";
  json::write_string(out.body, details.text.empty() ? sentence(error) : std::string_view(details.text));
  out.body += ",\"code\":";
  json::write_string(out.body, name(error));
  out.body += "}";
  return out;
}

Respond json_reply(int status, const json::Value& body) {
  Respond out;
  out.status = status;
  out.headers.push_back({"content-type", "application/json"});
  out.body = json::write(body);
  return out;
}

Respond pass_on(IncomingResponse reply) {
  Respond out;
  out.status = reply.status;
  for (Header& header : reply.headers) {
    std::string name = lower_case(header.name);
    if (is_one_of(name, hop_by_hop_headers) || is_dropped_reply_header(name)) continue;
    out.headers.push_back({std::move(name), std::move(header.value)});
  }
  out.body = std::move(reply.body);
  return out;
}

bool is_dropped_reply_header(std::string_view lower_case_name) { return is_one_of(lower_case_name, origin_headers); }

std::vector<std::string> dropped_reply_headers() { return {origin_headers.begin(), origin_headers.end()}; }

std::optional<json::Value> parse_reply(const std::string& body) {
  auto parsed = json::parse(json::replace_lone_surrogates(body), reply_limits);
  if (!parsed) return std::nullopt;
  return std::move(parsed).value();
}

const json::Value& metadata_of(const json::Value& object) {
  static const json::Value none;
  const json::Value* metadata = object.find("metadata");
  return metadata == nullptr ? none : *metadata;
}

bool has_string(const json::Value& object, const char* key, const std::string& text) {
  const json::Value* value = object.find(key);
  return value != nullptr && value->is_string() && value->as_string() == text;
}

}  // namespace postern
