#include "fuzz/exchange_script.h"

#include <algorithm>

#include "fuzz/tokens.h"
#include "route.h"

namespace postern::fuzz {
namespace {

constexpr std::size_t lines_max = 64;

struct Op {
  std::string_view name;
  std::size_t words;
  bool text;
};
constexpr Op ops[] = {
    {"config", 1, false},    {"header", 0, true},     {"open", 4, false},        {"authenticate", 2, false},
    {"body", 1, true},       {"body_over", 1, false}, {"body_failed", 1, false}, {"reply", 2, true},
    {"no_reply", 1, false},  {"timed_out", 1, false}, {"reply_over", 1, false},  {"next", 1, false},
    {"wrong_step", 1, true}, {"wrong_kind", 2, true}, {"again", 2, true},        {"fail", 1, false},
    {"drop", 1, false},      {"stray", 2, true},      {"due", 1, true},          {"time", 1, false},
    {"restart", 0, false},   {"explain", 3, true},
};

const Op* find_op(std::string_view name) {
  const auto op = std::find_if(std::begin(ops), std::end(ops), [&](const Op& one) { return one.name == name; });
  return op == std::end(ops) ? nullptr : op;
}

std::vector<std::string> lines_of(std::string_view script) {
  std::vector<std::string> out;
  while (!script.empty() && out.size() < lines_max) {
    const std::size_t end = script.find('\n');
    if (end != 0) out.emplace_back(script.substr(0, end));
    if (end == std::string_view::npos) break;
    script.remove_prefix(end + 1);
  }
  return out;
}

std::string replaced(std::string_view text) {
  static const std::string discovery =
      Dom{{"issuer", token_file().issuer}, {"jwks_uri", token_file().issuer + "/.well-known/jwks.json"}}.dump();
  const std::pair<std::string_view, std::string_view> places[] = {
      {"$A", thread_a},         {"$B", thread_b},        {"$R", run},
      {"$S", system_assistant}, {"$O", other_assistant}, {"$jwks", published_keys()},
      {"$discovery", discovery}};
  std::string out;
  while (!text.empty()) {
    const auto place =
        std::find_if(std::begin(places), std::end(places), [&](const auto& p) { return text.starts_with(p.first); });
    const bool found = place != std::end(places);
    out += found ? place->second : text.substr(0, 1);
    text.remove_prefix(found ? place->first.size() : 1);
  }
  return out;
}

}  // namespace

const std::string& published_keys() {
  static const std::string text = [] {
    Dom keys = Dom::parse(token_file().jwks);
    std::erase_if(keys["keys"].get_ref<Dom::array_t&>(), [](const Dom& key) {
      const std::string kid = string_member(key, "kid");
      return kid != "ec-256" && kid != "rsa-1";
    });
    return keys.dump();
  }();
  return text;
}

std::vector<Line> parse_script(std::string_view script) {
  std::vector<Line> out;
  for (const std::string& text : lines_of(script)) {
    std::string_view rest = text;
    const auto word = [&rest] {
      const std::size_t space = rest.find(' ');
      const std::string_view found = rest.substr(0, space);
      rest = space == std::string_view::npos ? std::string_view() : rest.substr(space + 1);
      return found;
    };
    Line line;
    line.op = word();
    const Op* op = find_op(line.op);
    if (op == nullptr) continue;
    for (std::size_t i = 0; i < op->words; ++i) line.words.push_back(replaced(word()));
    if (op->text) line.text = replaced(rest);
    out.push_back(std::move(line));
  }
  return out;
}

// ------------------------------------------------------------------------------------------------------------- mutation

namespace {

constexpr std::string_view configs[] = {"owner",      "owner", "owner",   "secret", "remote",
                                        "discovered", "open",  "members", "either", "reading"};

constexpr std::string_view odd_targets[] = {"/threads/$A/../$B",
                                            "/threads/$A%2f..",
                                            "//threads/$A",
                                            "/threads/$A?x=1",
                                            "http://other/ok",
                                            "/ok?x=1",
                                            "/threads/$A/state?subgraphs=true",
                                            "/assistants/$O",
                                            "/threads/$A#x",
                                            "/internal/truncate",
                                            "/"};

constexpr std::string_view bodies[] = {
    "{}",
    "",
    "[]",
    "null",
    R"({"metadata":{"owner":"alice","k":1}})",
    R"({"metadata":{"owner":"bob"}})",
    R"({"metadata":null})",
    R"({"thread_id":"$A"})",
    R"({"thread_id":"$A","if_exists":"do_nothing","metadata":{"owner":"bob"}})",
    R"({"thread_id":"$B","if_exists":"do_nothing"})",
    R"({"thread_id":null,"if_exists":"do_nothing"})",
    R"({"metadata":{"owner":"bob"},"limit":5,"select":["thread_id"]})",
    R"({"ids":["$A","$B"],"select":["metadata"]})",
    R"({"select":["thread_id","values"],"metadata":{"created_by":"x"}})",
    R"({"assistant_id":"agent"})",
    R"({"assistant_id":"agent","input":{"messages":[1.50,12345678901234567890]},"if_not_exists":"create"})",
    R"({"assistant_id":"other","metadata":{"owner":"bob"},"config":{"metadata":{"owner":"bob"},"configurable":{"thread_id":"$A"}}})",
    R"({"assistant_id":"$S","if_not_exists":"create","metadata":{"owner":"bob"}})",
    R"({"assistant_id":"$O"})",
    R"({"assistant_id":"0x096781560153d2b2f60d3403f7e9ca"})",
    R"({"assistant_id":"agent","config":{"configurable":{"thread_id":"$B"}}})",
    R"({"assistant_id":"agent","config":{"configurable":{"langgraph_auth_user":{}}}})",
    R"({"assistant_id":"agent","context":{"user_id":"bob"}})",
    R"({"assistant_id":"agent","checkpoint":{"thread_id":"$B"}})",
    R"({"assistant_id":"agent","webhook":"/x"})",
    R"({"assistant_id":"agent","command":{"resume":1}})",
    R"({"assistant_id":"agent","assistant_id":"x"})",
    R"({"checkpoint":{"thread_id":"$A"},"limit":3})",
    R"({"checkpoint":{"thread_id":"$B"}})",
    R"({"before":{"configurable":{"thread_id":"$B"}}})",
    R"({"values":{"n":1},"as_node":"x"})",
};

constexpr std::string_view replies[] = {
    "[]",
    "{}",
    "<",
    "",
    R"([{"thread_id":"$A","metadata":{"owner":"alice"}}])",
    R"([{"thread_id":"$A","metadata":{"owner":"bob"}}])",
    R"([{"thread_id":"$B","metadata":{"owner":"alice"}}])",
    R"([{"thread_id":"$A","metadata":{"owner":["alice"]}}])",
    R"([{"thread_id":"$A"}])",
    R"([{"thread_id":"$A","metadata":{"owner":"alice"}},{"thread_id":"$B","metadata":{"owner":"bob"}}])",
    R"([{"thread_id":"$A","metadata":{"owner":"bob","members":["alice"],"shared":true}}])",
    R"({"thread_id":"$A","metadata":{"owner":"alice"},"values":{"n":12345678901234567890}})",
    R"({"thread_id":"$A","metadata":{"owner":"bob"}})",
    R"({"thread_id":"$B","metadata":{"owner":"bob"}})",
    R"({"thread_id":"$A","metadata":{"owner":"alice","owner":"bob"}})",
    R"({"assistant_id":"$S","graph_id":"agent","metadata":{"created_by":"system"}})",
    R"({"assistant_id":"$O","graph_id":"agent","metadata":{"owner":"bob"}})",
    R"({"assistant_id":"$O","graph_id":"agent","metadata":{"created_by":"user"}})",
    R"([{"assistant_id":"$S","graph_id":"agent","metadata":{"created_by":"system"}},{"assistant_id":"$O","metadata":{}}])",
    R"({"run_id":"$R","thread_id":"$A","metadata":{"owner":"alice"}})",
    R"({"run_id":"$R","thread_id":"$B"})",
    "$jwks",
    "$discovery",
    R"({"keys":[]})",
    R"({"issuer":"https://evil.example","jwks_uri":"https://evil.example/jwks"})",
    R"({"issuer":"https://idp.example/auth/v1","jwks_uri":"https://evil.example/jwks"})",
    "3",
};

constexpr std::string_view statuses[] = {"200", "200", "200", "200", "409", "404", "422", "500", "301", "101", "204", "403"};

constexpr std::string_view headers[] = {"accept: text/event-stream",
                                        "user-agent: sdk/1",
                                        "last-event-id: 7",
                                        "x-api-key: client",
                                        "cookie: a=b",
                                        "content-encoding: gzip",
                                        "x-user-id: bob",
                                        "authorization: Basic YTpi",
                                        "connection: upgrade",
                                        "transfer-encoding: chunked"};

constexpr std::string_view json_words[] = {"owner",
                                           "alice",
                                           "bob",
                                           "metadata",
                                           "thread_id",
                                           "$A",
                                           "$B",
                                           "$S",
                                           "$O",
                                           "assistant_id",
                                           "agent",
                                           "if_exists",
                                           "if_not_exists",
                                           "do_nothing",
                                           "raise",
                                           "create",
                                           "reject",
                                           "config",
                                           "configurable",
                                           "context",
                                           "user_id",
                                           "langgraph_auth_user",
                                           "__x",
                                           "members",
                                           "shared",
                                           "created_by",
                                           "system",
                                           "graph_id",
                                           "ids",
                                           "select",
                                           "limit",
                                           "values",
                                           "checkpoint",
                                           "before",
                                           "checkpoint_id",
                                           "webhook",
                                           "command",
                                           "resume",
                                           "update",
                                           "goto",
                                           "input",
                                           "stream_mode",
                                           "ttl",
                                           "name",
                                           "keys",
                                           "issuer",
                                           "jwks_uri",
                                           "thread_ids",
                                           "run_id",
                                           "$R",
                                           "{\"owner\":\"alice\"}",
                                           "{\"owner\":\"bob\"}",
                                           "[\"alice\"]",
                                           "{\"thread_id\":\"$B\"}"};

template <typename List>
std::string_view pick(const List& list, Random& random) {
  return list[random() % std::size(list)];
}

// A row's method and path, ids filled in.
std::string row_target(const Route& row, Random& random) {
  std::string path(row.path);
  for (std::size_t open = path.find('{'); open != std::string::npos; open = path.find('{')) {
    const std::size_t close = path.find('}', open);
    const std::string name = path.substr(open, close - open + 1);
    const std::string_view assistants[] = {"$S", "$O", "agent"};
    const std::string_view threads[] = {"$A", "$A", "$A", "$B"};
    const bool thread = name == "{thread_id}";
    path.replace(open, name.size(), thread ? pick(threads, random) : name == "{assistant_id}" ? pick(assistants, random) : "$R");
  }
  if (!row.query.empty() && random() % 3 == 0) {
    const QueryParameter& parameter = row.query[random() % row.query.size()];
    path += "?" + std::string(parameter.name) + "=" + (parameter.kind == QueryKind::boolean ? "true" : "3");
  }
  const bool head = row.method == "GET" && random() % 8 == 0;
  return (head ? "HEAD" : std::string(row.method)) + " " + path;
}

std::string route_line(Random& random) {
  const auto rows = langgraph_routes();
  return row_target(rows[random() % rows.size()], random);
}

std::string token_name(bool secret, Random& random) {
  const auto& tokens = token_file().tokens;
  if (random() % 8 == 0) return tokens[random() % tokens.size()].name;
  if (random() % 16 == 0) return "none";
  const std::string name = random() % 3 != 0 ? "alice" : "bob";
  // RS256 is the asymmetric algorithm that costs least here.
  return secret ? name + "_hs256" : random() % 4 == 0 ? name : name + "_rs256";
}

std::string random_line(bool secret, Random& random) {
  const std::string slot = std::to_string(random() % 3);
  const std::string status_and_text = std::string(pick(statuses, random)) + " " + std::string(pick(replies, random));
  switch (random() % 20) {
    case 0:
    case 1:
      return "open " + slot + " " + token_name(secret, random) + " " +
             (random() % 8 == 0 ? "GET " + std::string(pick(odd_targets, random)) : route_line(random));
    case 2:
      return "authenticate " + slot + " " + token_name(secret, random);
    case 3:
    case 4:
      return "body " + slot + " " + std::string(pick(bodies, random));
    case 5:
    case 6:
    case 7:
      return "reply " + slot + " " + status_and_text;
    case 8:
      return "next " + slot;
    case 9: {
      constexpr std::string_view rare[] = {"body_over", "body_failed", "no_reply", "timed_out", "reply_over", "fail", "drop"};
      return std::string(pick(rare, random)) + " " + slot;
    }
    case 10:
      return "wrong_step " + slot + " " + std::string(pick(bodies, random));
    case 11:
      return "wrong_kind " + slot + " " + status_and_text;
    case 12:
      return "again " + slot + " " + status_and_text;
    case 13:
      return "stray " + std::to_string(random() % 12) + " " + status_and_text;
    case 14:
      return "due " + status_and_text;
    case 15: {
      constexpr std::string_view spans[] = {"1", "3", "61", "541", "601", "3601", "4300", "-10", "-7200", "100000"};
      return "time " + std::string(pick(spans, random));
    }
    case 16:
      return "restart";
    case 17:
      return "explain " + token_name(secret, random) + " " + route_line(random) + " " + std::string(pick(bodies, random));
    case 18:
      return "header " + std::string(pick(headers, random));
    default:
      return "config " + std::string(pick(configs, random));
  }
}

// A value of a field's kind, right most of the time.
Dom field_value(const Field& field, Random& random) {
  const auto text = [&](std::initializer_list<std::string_view> list) {
    return Dom::parse(std::data(list)[random() % list.size()], nullptr, false);
  };
  if (random() % 16 == 0) return text({"null", "1", "\"x\"", "{}", "[]"});
  switch (field.kind) {
    case FieldKind::metadata:
      return text(
          {R"({"owner":"alice"})", R"({"owner":"bob","k":1})", R"({"created_by":"system"})", R"({"members":["bob"]})", "{}"});
    case FieldKind::config:
      return text({R"({"configurable":{"thread_id":"$A"},"metadata":{"owner":"bob"}})", R"({"configurable":{"user_id":"bob"}})",
                   R"({"configurable":{"thread_id":"$B"}})", R"({"configurable":{"langgraph_auth_user":{}}})",
                   R"({"tags":["a"],"recursion_limit":5,"metadata":{"owner":"bob","langgraph_auth_user_id":"bob"}})",
                   R"({"configurable":{"checkpoint_id":"$R","__x":1}})"});
    case FieldKind::context:
      return text({R"({"k":1})", R"({"user_id":"bob"})", R"({"thread_id":"$B"})", R"({"langgraph_auth_permissions":[]})"});
    case FieldKind::checkpoint:
      return text({R"({"thread_id":"$A"})", R"({"thread_id":"$B"})", R"({"configurable":{"thread_id":"$B"}})",
                   R"({"checkpoint_id":"$R","checkpoint_ns":""})", R"({"user_id":"bob"})", "\"c\""});
    case FieldKind::assistant:
      return text({"\"agent\"", "\"$S\"", "\"$O\"", "\"other\"", "\"0x096781560153d2b2f60d3403f7e9ca\""});
    case FieldKind::uuid:
      return text({"\"$A\"", "\"$B\""});
    case FieldKind::ids:
      return text({R"(["$A"])", R"(["$A","$B"])", "[]"});
    case FieldKind::select:
      return text({R"(["thread_id"])", R"(["metadata"])", R"(["values","thread_id"])", "[]"});
    case FieldKind::command:
      return text({R"({"resume":1})", R"({"update":{"owner":"bob"},"goto":"x"})"});
    case FieldKind::integer:
      return text({"0", "1", "10"});
    case FieldKind::boolean:
      return text({"true", "false"});
    case FieldKind::string:
      if (field.name == "if_exists") return text({"\"do_nothing\"", "\"raise\""});
      if (field.name == "if_not_exists") return text({"\"create\"", "\"reject\""});
      return text({"\"x\"", "\"idle\""});
    default:
      return text({"{}", "[]", "\"x\"", R"({"messages":[1.50]})"});
  }
}

// A body of the route's own fields.
std::string random_body(const Route& row, Random& random) {
  Dom body = Dom::object();
  for (const Field& field : row.body) {
    const bool wanted = field.kind == FieldKind::assistant ? random() % 16 != 0 : random() % 3 == 0;
    if (wanted) body[std::string(field.name)] = field_value(field, random);
  }
  return body.dump();
}

// A request and what a well-meaning upstream answers, so that the rare lines meet exchanges that are far along.
std::vector<std::string> random_story(bool secret, Random& random) {
  const std::string slot = std::to_string(random() % 3);
  const std::string user = random() % 2 == 0 ? "alice" : "bob";
  const auto rows = langgraph_routes();
  const Route& row = rows[random() % rows.size()];
  const std::string target = row_target(row, random);
  std::vector<std::string> out = {"open " + slot + " " + user + (secret ? "_hs256 " : "_rs256 ") + target};
  std::string body;
  if (row.takes_body()) {
    body = random_body(row, random);
    out.push_back("body " + slot + " " + body);
  }
  const std::string thread = target.find("$B") != std::string::npos ? "$B" : "$A";
  const std::string object = R"({"thread_id":")" + thread + R"(","metadata":{"owner":")" + user + R"("}})";
  const std::string assistant = R"({"assistant_id":"$S","graph_id":"agent","metadata":{"created_by":"system"}})";
  if (body.find("$S") != std::string::npos || row.resource == Resource::assistants) {
    const bool list = target.find("$S") == std::string::npos && body.find("$S") == std::string::npos;
    out.push_back("reply " + slot + " 200 " + (list ? "[" + assistant + "]" : assistant));
  }
  if (row.resource == Resource::threads) {
    const bool made = body.find("\"create\"") != std::string::npos && random() % 2 == 0;
    if (made) out.push_back("reply " + slot + " 200 []");
    const bool alone = made || row.path == "/threads";
    out.push_back("reply " + slot + " 200 " + (alone ? object : "[" + object + "]"));
    if (target.find("$R") != std::string::npos) {
      out.push_back("reply " + slot + " 200 {\"run_id\":\"$R\",\"thread_id\":\"" + thread + "\"}");
    }
  }
  return out;
}

// A request with some answers.
std::vector<std::string> random_scene(bool secret, Random& random) {
  if (random() % 4 != 0) return random_story(secret, random);
  const std::string slot = std::to_string(random() % 3);
  std::vector<std::string> out = {"open " + slot + " " + token_name(secret, random) + " " + route_line(random)};
  if (random() % 4 == 0) out.push_back("reply " + slot + " 200 $jwks");
  if (out.front().find(" POST ") != std::string::npos || out.front().find(" PATCH ") != std::string::npos || random() % 4 == 0) {
    out.push_back("body " + slot + " " + std::string(pick(bodies, random)));
  }
  for (unsigned i = 0, count = static_cast<unsigned>(random() % 4); i < count; ++i) {
    out.push_back("reply " + slot + " " + (random() % 4 == 0 ? std::string(pick(statuses, random)) : "200") + " " +
                  std::string(pick(replies, random)));
  }
  return out;
}

// Changes the JSON at a line's end, or a word of it.
std::string changed(const std::string& line, Random& random) {
  const std::size_t json = line.find_first_of("{[");
  if (json != std::string::npos && random() % 4 != 0) {
    return line.substr(0, json) + mutate_json(line.substr(json), json_words, line.size() + 128, random);
  }
  const std::pair<std::string_view, std::string_view> swaps[] = {{"$A", "$B"},     {"$B", "$A"},   {"alice", "bob"},
                                                                 {"bob", "alice"}, {" 0 ", " 1 "}, {" 1 ", " 0 "},
                                                                 {"200", "409"},   {"$S", "$O"}};
  const auto& [from, to] = swaps[random() % std::size(swaps)];
  const std::size_t at = line.find(from);
  std::string out = line;
  if (at != std::string::npos) {
    out.replace(at, from.size(), to);
  } else {
    out = mutate_bytes(out, out.size() + 16);
  }
  std::replace(out.begin(), out.end(), '\n', ' ');
  return out;
}

}  // namespace

std::string mutate_script(std::string_view script, std::size_t size_max, Random& random) {
  std::vector<std::string> lines = lines_of(script);
  if (lines.empty()) lines.push_back("config " + std::string(pick(configs, random)));
  const bool secret = lines.front() == "config secret";
  for (unsigned i = 0, count = 1 + static_cast<unsigned>(random() % 3); i < count; ++i) {
    const std::size_t at = lines.empty() ? 0 : random() % lines.size();
    const auto place = lines.begin() + static_cast<std::ptrdiff_t>(at);
    const auto after = lines.empty() ? lines.end() : place + 1;
    switch (random() % 12) {
      case 0:
      case 1:
        lines.insert(after, random_line(secret, random));
        break;
      case 2:
      case 3: {
        const auto scene = random_scene(secret, random);
        lines.insert(after, scene.begin(), scene.end());
        break;
      }
      case 4:
        if (lines.size() > 1) lines.erase(place);
        break;
      case 5:
        if (!lines.empty()) lines.insert(after, std::string(*place));
        break;
      case 6:
        if (!lines.empty()) std::swap(*place, lines[random() % lines.size()]);
        break;
      case 7:
        if (!lines.empty()) *place = random_line(secret, random);
        break;
      default:
        if (!lines.empty()) *place = changed(*place, random);
    }
  }
  std::string out;
  for (const std::string& line : lines) {
    if (out.size() + line.size() + 1 > size_max) break;
    out += line + "\n";
  }
  return out;
}

}  // namespace postern::fuzz
