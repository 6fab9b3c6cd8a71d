// Request targets against the route table, matched a second time by hand. The input is "METHOD TARGET".
//
// - What matches is sent on with exactly the bytes of its path: visible ASCII, no '%', no dot or empty segments, ids of
//   the exact grammar, nothing that the Python server would take for another spelling of an id.
// - The rebuilt query is a canonical subset of what was sent: listed names, plain values, in order; matching the rebuilt
//   target gives the same again.
// - What a row describes matches; what no row describes is refused with a reason that does not echo the target.
#include "route.h"

#include <algorithm>
#include <optional>

#include "fuzz/must.h"

namespace postern::fuzz {
namespace {

std::vector<std::string> split(std::string_view text, char separator) {
  std::vector<std::string> parts(1);
  for (const char c : text) {
    if (c == separator) {
      parts.emplace_back();
    } else {
      parts.back() += c;
    }
  }
  return parts;
}

bool is_hex(char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F'); }
bool is_word(char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; }

bool is_exact_uuid(std::string_view text) {
  constexpr std::string_view shape = "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx";
  if (text.size() != shape.size()) return false;
  for (std::size_t i = 0; i < shape.size(); ++i) {
    const bool good = shape[i] == '-' ? text[i] == '-' : is_hex(text[i]) && !(text[i] >= 'A' && text[i] <= 'F');
    if (!good) return false;
  }
  return true;
}

// Whether Python's uuid.UUID(text) makes an id of it: dashes are dropped, then 32 characters go to int(..., 16), which
// takes a 0x in front and single underscores between digits.
bool python_takes_for_uuid(std::string_view text) {
  std::string digits;
  for (const char c : text) {
    if (c != '-') digits += c;
  }
  if (digits.size() != 32) return false;
  std::string_view rest = digits;
  bool underscore_may_follow = false;
  if (rest.starts_with("0x") || rest.starts_with("0X")) {
    rest.remove_prefix(2);
    underscore_may_follow = true;
  }
  for (const char c : rest) {
    if (c == '_' ? !underscore_may_follow : !is_hex(c)) return false;
    underscore_may_follow = c != '_';
  }
  return underscore_may_follow;
}

bool is_plain_word(std::string_view text) {
  return !text.empty() && text.size() <= 128 && text.front() != '.' &&
         std::all_of(text.begin(), text.end(), [](char c) { return is_word(c) || c == '-' || c == '.' || c == ','; });
}

bool fits_segment(std::string_view wanted, std::string_view sent) {
  if (wanted == "{assistant_id}" || wanted == "{graph}") {
    if (is_exact_uuid(sent)) return true;
    const bool plain = !sent.empty() && sent.size() <= 128 && sent.front() != '.' &&
                       std::all_of(sent.begin(), sent.end(), [](char c) { return is_word(c) || c == '-' || c == '.'; });
    return plain && is_graph_name(sent);
  }
  if (wanted == "{graph_id}") return is_graph_name(sent);
  if (wanted == "{namespace}" || wanted == "{file}") return is_plain_word(sent);
  if (wanted.starts_with('{')) return is_exact_uuid(sent);
  return wanted == sent;
}

const Route* find_row(std::string_view method, std::string_view path) {
  const auto sent = split(path, '/');
  for (const Route& row : langgraph_routes()) {
    const auto wanted = split(row.path, '/');
    const bool fits = row.method == (method == "HEAD" ? "GET" : method) && wanted.size() == sent.size() &&
                      std::equal(wanted.begin(), wanted.end(), sent.begin(), fits_segment);
    if (fits) return &row;
  }
  return nullptr;
}

void check_path(const RouteMatch& match, std::string_view path) {
  must(match.path == path, "the path is sent on byte for byte", match.path);
  for (const char c : match.path) {
    must(c > ' ' && c < 0x7f && c != '%' && c != '\\' && c != ';' && c != '#' && c != '?', "a path is plain ASCII", match.path);
  }
  if (match.path == "/") return;
  const auto wanted = split(match.route->path, '/');
  const auto sent = split(match.path, '/');
  for (std::size_t i = 1; i < sent.size(); ++i) {
    must(!sent[i].empty() && sent[i] != "." && sent[i] != "..", "no empty or dot segments", match.path);
    if (!wanted[i].starts_with('{')) continue;
    if (wanted[i] == "{thread_id}") must(match.thread_id == sent[i], "thread_id is the path's", match.thread_id);
    if (wanted[i] == "{run_id}") must(match.run_id == sent[i], "run_id is the path's", match.run_id);
    if (wanted[i] == "{assistant_id}") must(match.assistant_id == sent[i], "assistant_id is the path's", match.assistant_id);
    if (wanted[i] == "{namespace}" || wanted[i] == "{file}") continue;  // no id
    must(is_exact_uuid(sent[i]) || !python_takes_for_uuid(sent[i]), "no second spelling of an id", sent[i]);
  }
  must(match.thread_id.empty() || is_exact_uuid(match.thread_id), "a thread's id has the exact grammar", match.thread_id);
}

void check_query(const RouteMatch& match, std::string_view query) {
  if (match.query.empty()) return;
  must(match.query.front() == '?', "a query starts with its mark");
  std::vector<std::string> sent = split(query, '&');
  std::size_t at = 0;
  std::vector<std::string> seen;
  for (const std::string& pair : split(std::string_view(match.query).substr(1), '&')) {
    const std::string name = pair.substr(0, pair.find('='));
    const std::string value = pair.substr(name.size() + 1);
    const auto row = std::find_if(match.route->query.begin(), match.route->query.end(),
                                  [&](const QueryParameter& p) { return p.name == name; });
    must(row != match.route->query.end(), "a parameter is listed", name);
    if (row->kind == QueryKind::text) {
      // Any text, written anew: unreserved characters and upper-case escapes (RFC 3986 section 2.1).
      must(!value.empty() && std::all_of(value.begin(), value.end(),
                                         [](char c) { return is_word(c) || c == '-' || c == '.' || c == '~' || c == '%'; }),
           "a text is percent-encoded", value);
      continue;
    }
    must(!value.empty() &&
             std::all_of(value.begin(), value.end(), [](char c) { return is_word(c) || c == '-' || c == '.' || c == ','; }),
         "a parameter's value is plain", value);
    const bool twice = std::find(seen.begin(), seen.end(), name) != seen.end();
    must(!twice || row->kind == QueryKind::words, "only lists are repeated", name);
    seen.push_back(name);
    // It stands in what was sent, in this order; only the comma may have been written as %2C.
    const auto same = [&](std::string text) {
      for (std::size_t i = text.find('%'); i != std::string::npos; i = text.find('%', i + 1)) {
        if (text.size() > i + 2 && text[i + 1] == '2' && (text[i + 2] | 0x20) == 'c') text.replace(i, 3, ",");
      }
      return text == pair;
    };
    while (at < sent.size() && !same(sent[at])) ++at;
    must(at < sent.size(), "a parameter was sent", pair);
    ++at;
  }
}

void check_refusal(const Refusal& refusal, std::string_view method, const Route* row) {
  if (row != nullptr) must(refusal.error() == Error::query_not_accepted, "what a row describes is refused for its query only");
  must(refusal.details().allow.empty() == (refusal.error() != Error::method_not_allowed),
       "`allow` comes with method_not_allowed");
  for (const std::string& allowed : split(refusal.details().allow, ',')) {
    const std::string_view name = std::string_view(allowed).substr(allowed.starts_with(' ') ? 1 : 0);
    must(name.empty() || name != method, "a method that is allowed is not refused", refusal.details().allow);
  }
  for (const char c : refusal.details().text) must(c >= ' ' && c < 0x7f, "a reason is printable");
}

void check(std::string_view method, std::string_view target) {
  const std::string_view path = target.substr(0, target.find('?'));
  const std::string_view query = path.size() == target.size() ? std::string_view() : target.substr(path.size() + 1);
  const Route* row = target.size() > 4096 ? nullptr : find_row(method, path);
  auto match = match_route(method, target);
  if (!match) return check_refusal(match.error(), method, row);
  must(row == match->route, "the row that matches is the first that describes the target");
  must(match->head == (method == "HEAD"), "HEAD is told from GET");
  check_path(match.value(), path);
  check_query(match.value(), query);
  const auto again = match_route(method, match->path + match->query);
  must(again.ok() && again->path == match->path && again->query == match->query && again->route == match->route,
       "what is sent on matches in the same way", match->path + match->query);
}

}  // namespace
}  // namespace postern::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  const std::string_view text = postern::fuzz::text_of(bytes, size);
  const std::size_t space = text.find(' ');
  if (space == std::string_view::npos) return 0;
  postern::fuzz::check(text.substr(0, space), text.substr(space + 1));
  return 0;
}
