#include "options.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <charconv>
#include <cstdio>
#include <utility>

#include "log.h"

namespace postern::native {
namespace {

constexpr std::string_view header =
    "postern: an auth gate in front of a LangGraph API server.\n"
    "It lets a request through when its token is valid and the policy allows it; everybody sees their own\n"
    "threads and runs only.";

constexpr std::string_view footer =
    "Start with flags alone:\n"
    "  postern serve --upstream http://127.0.0.1:2024 --issuer https://PROJECT.supabase.co/auth/v1 --audience authenticated\n"
    "or with nothing but POSTERN_UPSTREAM, SUPABASE_URL and SUPABASE_ANON_KEY in the environment (or the whole in "
    "POSTERN_CONFIG):\n"
    "  postern serve\n"
    "or with a file that also holds the policy:\n"
    "  postern check-config postern.json && postern serve --config postern.json\n"
    "Exit status: 0 done, 1 cannot serve or a policy test failed, 2 the command line or the configuration is wrong.";

struct Flags {
  std::string upstream;
  std::string issuer;
  std::string audience;
  std::string jwks_uri;
  bool any_audience = false;
  std::string listen = "127.0.0.1:8080";
  std::string log = "access";
};

void append_text_member(std::string& out, std::string_view key, std::string_view value) {
  if (out.back() != '{') out += ',';
  out += '"';
  out += key;
  out += "\":\"";
  // Not append_json: it is for the log and makes bytes out of UTF-8.
  for (const char c : value) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (byte < 0x20) {
      char escaped[8];
      std::snprintf(escaped, sizeof escaped, "\\u%04x", static_cast<unsigned>(byte));
      out += escaped;
    } else {
      out += c;
    }
  }
  out += '"';
}

std::string compose_config(const Flags& flags) {
  std::string text = "{\"issuers\":[{";
  append_text_member(text, "issuer", flags.issuer);
  if (!flags.audience.empty()) append_text_member(text, "audience", flags.audience);
  if (!flags.jwks_uri.empty()) append_text_member(text, "jwks_uri", flags.jwks_uri);
  if (flags.any_audience) text += ",\"any_audience\":true";
  text += "}],\"upstream\":{";
  append_text_member(text, "url", flags.upstream);
  text += "}}";
  return text;
}

// "ADDR:PORT" with an IP address, in brackets if it is IPv6. Returns what is wrong, or nothing.
std::string read_listen(std::string_view text, ServeOptions& serve) {
  const std::string wrong = "--listen takes ADDRESS:PORT, as in 127.0.0.1:8080, 0.0.0.0:8080 or [::1]:8080";
  const std::size_t colon = text.rfind(':');
  if (colon == std::string_view::npos || colon == 0) return wrong;
  std::string_view address = text.substr(0, colon);
  const std::string_view port = text.substr(colon + 1);
  if (address.front() == '[') {
    if (address.back() != ']') return wrong;
    address = address.substr(1, address.size() - 2);
  } else if (address.find(':') != std::string_view::npos) {
    return wrong;
  }
  if (address == "localhost") address = "127.0.0.1";
  error_code error;
  asio::ip::make_address(address, error);
  if (error) return wrong;
  const auto [end, failure] = std::from_chars(port.data(), port.data() + port.size(), serve.port);
  if (failure != std::errc() || end != port.data() + port.size() || port.empty()) return wrong;
  serve.address = address;
  return {};
}

int complain(const std::string& message) {
  std::fprintf(stderr, "postern: %s\n", message.c_str());
  return 2;
}

}  // namespace

std::variant<Options, ExitStatus> parse_options(int argc, char** argv) {
  Options options;
  Flags flags;
  std::string file;

  CLI::App app{std::string(header), "postern"};
  app.footer(std::string(footer));
  app.require_subcommand(1);
  app.get_formatter()->column_width(34);

  CLI::App* serve = app.add_subcommand("serve", "Serve: check each request and pass it to the upstream");
  serve->add_option("--config", options.config_file, "The configuration file (JSON with comments); instead of the next five")
      ->type_name("FILE");
  serve->add_option("--upstream", flags.upstream, "The LangGraph server, http(s)://HOST[:PORT]")->type_name("URL");
  serve->add_option("--issuer", flags.issuer, "Who signs the tokens: their iss claim, exactly")->type_name("URL");
  serve->add_option("--audience", flags.audience, "Whom the tokens are for: their aud claim")->type_name("A");
  serve->add_option("--jwks-uri", flags.jwks_uri, "The issuer's keys, if discovery does not tell")->type_name("URL");
  serve->add_flag("--any-audience", flags.any_audience, "Accept tokens that were made for anybody else (dangerous)");
  serve->add_option("--listen", flags.listen, "Where to listen; port 0 takes a free one")
      ->type_name("ADDR:PORT")
      ->capture_default_str();
  serve->add_option("--ca-file", options.serve.ca_file, "Trust these certificates too (PEM), for https upstreams and issuers")
      ->type_name("FILE");
  serve
      ->add_option("--key-snapshot", options.serve.key_snapshot_file,
                   "Keep the issuers' keys in this file over a restart; who can write it decides who gets in")
      ->type_name("FILE");
  serve
      ->add_option("--denylist", options.serve.denylist,
                   "What is no longer good, as the configuration's `denylist`, looked at again and again: a file, or in Redis\n"
                   "or Valkey redis[s]://HOST[:PORT][/DB]/KEY, with POSTERN_REDIS_USER and POSTERN_REDIS_PASSWORD[_FILE]\n"
                   "from the environment")
      ->type_name("FILE|URL");
  serve->add_option("--denylist-seconds", options.serve.denylist_seconds, "How often --denylist is looked at")
      ->type_name("N")
      ->check(CLI::Range(1U, 3600U))
      ->capture_default_str();
  serve->add_option("--drain-seconds", options.serve.drain_seconds, "How long SIGTERM lets requests finish")
      ->type_name("N")
      ->check(CLI::Range(0U, 86400U))
      ->capture_default_str();
  serve->add_option("--log", flags.log, "JSON lines on stderr: off, access or debug")
      ->type_name("LEVEL")
      ->check(CLI::IsMember({"off", "access", "debug"}))
      ->capture_default_str();
  serve->add_flag("--ready-json", options.serve.ready_json, "Print {\"ready\":true,\"url\":...} on stdout when listening");

  CLI::App* explain = app.add_subcommand("explain", "Say what would happen to one request, and why");
  explain->add_option("--config", options.config_file, "The configuration file")->type_name("FILE")->required();
  explain->add_option("--method", options.method, "The request's method")->type_name("M")->capture_default_str();
  explain->add_option("--path", options.path, "The request's path and query, as in /threads/search")->type_name("P")->required();
  explain->add_option("--token-file", options.token_file, "A file with the bearer token; - is stdin")->type_name("FILE");
  explain->add_option("--body-file", options.body_file, "A file with the request's body; - is stdin")->type_name("FILE");

  CLI::App* check = app.add_subcommand("check-config", "Read a configuration file and say what is wrong with it");
  check->add_option("FILE", file, "The configuration file")->required();

  CLI::App* test = app.add_subcommand("test", "Play a table of policy tests: users, requests and what must come of them");
  test->add_option("FILE", options.tests_file, "The tests (docs/policy-tests.md); - is stdin")->required();
  test->add_option("--config", options.config_file, "Another configuration than the one the tests name")->type_name("FILE");
  test->add_flag("--json", options.json, "Print a line of JSON for each case");
  CLI::App* routes =
      app.add_subcommand("routes", "Print the LangGraph routes: under which rule each is, what it takes, what is denied");
  routes->add_flag("--json", options.routes_as_json, "As JSON");
  CLI::App* hash =
      app.add_subcommand("hash-token", "Print the SHA-256 that the configuration holds of a token; reads the token from stdin");
  hash->add_flag("--new", options.make_token, "Make a token of 256 random bits first, and print it too");
  hash->add_option("--api-key", options.api_key_id, "With --new: an API key with this public id")->type_name("ID");
  hash->add_option("--prefix", options.api_key_prefix, "With --api-key: what stands before the id")
      ->type_name("P")
      ->capture_default_str();

  CLI::App* new_key =
      app.add_subcommand("new-key", "Make a key for upstream.identity.assertion: the private JWK, then the public JWK Set");

  CLI::App* version = app.add_subcommand("version", "Print the version");

  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    // CLI11 has a status for each kind of mistake; help is not one.
    return ExitStatus{app.exit(error) == 0 ? 0 : 2};
  }

  if (*version) {
    options.command = Command::version;
  } else if (*test) {
    options.command = Command::test;
  } else if (*routes) {
    options.command = Command::routes;
  } else if (*new_key) {
    options.command = Command::new_key;
  } else if (*hash) {
    options.command = Command::hash_token;
    const auto allowed = [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-'; };
    const std::string& id = options.api_key_id;
    if (!std::all_of(id.begin(), id.end(), allowed))
      return ExitStatus{complain("--api-key has small letters, digits and - only")};
    if (!id.empty() && !options.make_token)
      return ExitStatus{complain("--api-key needs --new: a key that exists is hashed whole, from stdin")};
  } else if (*check) {
    options.command = Command::check_config;
    options.config_file = file;
  } else if (*explain) {
    options.command = Command::explain;
    if (!options.path.starts_with('/')) return ExitStatus{complain("--path begins with a slash, as in /threads/search")};
    if (options.token_file == "-" && options.body_file == "-")
      return ExitStatus{complain("only one of --token-file and --body-file can be stdin")};
  } else {
    options.command = Command::serve;
    if (!options.config_file.empty()) {
      std::string said_twice;
      for (const char* flag : {"--upstream", "--issuer", "--audience", "--jwks-uri", "--any-audience"}) {
        if (serve->count(flag) > 0) said_twice += std::string(said_twice.empty() ? "" : ", ") + flag;
      }
      if (!said_twice.empty()) {
        return ExitStatus{complain("--config and " + said_twice + " do not go together: say it in " + options.config_file +
                                   ", or leave --config out")};
      }
    } else {
      if (flags.upstream.empty() && flags.issuer.empty() && flags.audience.empty() && flags.jwks_uri.empty() &&
          !flags.any_audience) {
        options.config_from_environment = true;
      } else if (flags.upstream.empty() || flags.issuer.empty()) {
        return ExitStatus{
            complain("serve needs --config FILE, or --upstream URL, --issuer URL and --audience A (postern serve --help)")};
      }
      if (!options.config_from_environment) options.config_text = compose_config(flags);
    }
    if (options.serve.denylist.find("://") != std::string::npos) {
      auto place = parse_redis_url(options.serve.denylist);
      if (const auto* fault = std::get_if<std::string>(&place)) return ExitStatus{complain("--denylist: " + *fault)};
      options.serve.denylist_redis = std::move(std::get<RedisKey>(place));
    }
    const std::string wrong = read_listen(flags.listen, options.serve);
    if (!wrong.empty()) return ExitStatus{complain(wrong)};
    options.serve.log = flags.log == "off" ? LogLevel::off : flags.log == "debug" ? LogLevel::debug : LogLevel::access;
  }
  return options;
}

}  // namespace postern::native
