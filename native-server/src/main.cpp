// postern: the gate as one program.
#include <sys/random.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <exception>
#include <fstream>
#include <iostream>
#include <iterator>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "io.h"
#include "make_secrets.h"
#include "options.h"
#include "policy_test_report.h"
#include "postern/environment.h"
#include "postern/gate.h"
#include "postern/policy_test.h"
#include "routes_command.h"
#include "serve.h"

#ifndef POSTERN_VERSION
#define POSTERN_VERSION "0.1.0"
#endif

extern char** environ;

namespace postern::native {
namespace {

constexpr int status_wrong_input = 2;

std::optional<std::string> read_file(const std::string& path) {
  if (path == "-") return std::string(std::istreambuf_iterator<char>(std::cin), {});
  errno = 0;
  std::ifstream file(path, std::ios::binary);
  std::string text;
  if (file) text.assign(std::istreambuf_iterator<char>(file), {});
  if (file && !file.bad()) return text;
  std::fprintf(stderr, "postern: cannot read %s: %s\n", path.c_str(), std::strerror(errno == 0 ? EIO : errno));
  return std::nullopt;
}

Environment process_environment() {
  Environment all;
  for (char** entry = environ; entry != nullptr && *entry != nullptr; ++entry) {
    const std::string_view text(*entry);
    const std::size_t equals = text.find('=');
    if (equals != std::string_view::npos) all.emplace_back(text.substr(0, equals), text.substr(equals + 1));
  }
  return all;
}

struct UnreadFile {
  std::string name, path;
};

// A secret may come as a file, as container platforms hand them out: NAME_FILE=/run/secrets/name gives NAME the file's first
// line. Only where NAME itself is not set. `unread`: those that give none; whether that matters is known where the names are.
Environment with_files(Environment environment, std::vector<UnreadFile>& unread) {
  const Environment given = environment;
  for (const auto& [name, path] : given) {
    if (name.size() <= 5 || !name.ends_with("_FILE")) continue;
    const std::string wanted = name.substr(0, name.size() - 5);
    const auto same = [&](const auto& one) { return one.first == wanted; };
    if (std::any_of(given.begin(), given.end(), same)) continue;
    std::ifstream file(path, std::ios::binary);
    std::string line;
    if (file && std::getline(file, line)) {
      if (line.ends_with('\r')) line.pop_back();
      environment.emplace_back(wanted, std::move(line));
    } else {
      unread.push_back({wanted, path});
    }
  }
  return environment;
}

std::string unread_text(const UnreadFile& file) {
  return file.name + "_FILE: " + file.path + " cannot be read or is empty; its first line is to be " + file.name;
}

// A file that somebody named for a secret must not count as a secret that nobody set: without SUPABASE_ANON_KEY, for example,
// tokens are judged by published keys alone. True when one of those that matter is unread; says which.
template <typename Matters>
bool complain_of_unread(const std::vector<UnreadFile>& unread, const Matters& matters) {
  bool any = false;
  for (const UnreadFile& file : unread) {
    if (!matters(file.name)) continue;
    any = true;
    std::fprintf(stderr, "postern: %s\n", unread_text(file).c_str());
  }
  return any;
}

// POSTERN_REDIS_USER and POSTERN_REDIS_PASSWORD: never flags, which every user of the machine can read. Throws
// std::invalid_argument for a user without a password.
RedisLogin redis_login() {
  RedisLogin login;
  std::vector<UnreadFile> unread;
  for (auto& [name, value] : with_files(process_environment(), unread)) {
    if (name == "POSTERN_REDIS_USER") login.user = value;
    if (name == "POSTERN_REDIS_PASSWORD") login.password = value;
  }
  for (const UnreadFile& file : unread) {
    if (file.name == "POSTERN_REDIS_USER" || file.name == "POSTERN_REDIS_PASSWORD")
      throw std::invalid_argument(unread_text(file));
  }
  if (!login.user.empty() && login.password.empty())
    throw std::invalid_argument("POSTERN_REDIS_USER is set and POSTERN_REDIS_PASSWORD is not");
  return login;
}

// Prints what is wrong and yields nothing, or prints the warnings and yields the gate.
std::optional<Gate> load(const Options& options) {
  std::string text = options.config_text;
  std::string place = "the configuration made from flags";
  if (!options.config_file.empty()) {
    auto read = read_file(options.config_file);
    if (!read) return std::nullopt;
    text = std::move(*read);
    place = options.config_file;
  }
  std::vector<UnreadFile> unread;
  const Environment environment = with_files(process_environment(), unread);
  if (options.config_from_environment) {
    const auto names = environment_config_names();
    const auto is_read = [&](const std::string& name) { return std::find(names.begin(), names.end(), name) != names.end(); };
    if (complain_of_unread(unread, is_read)) return std::nullopt;
    place = "the environment";
    Result<std::string, ConfigError> made = config_from_environment(environment);
    if (!made) {
      std::fprintf(stderr, "postern: %s %s\n", made.error().path.c_str(), made.error().message.c_str());
      std::fprintf(stderr, "postern: or write postern serve --config FILE, or --upstream and --issuer (postern serve --help)\n");
      return std::nullopt;
    }
    text = std::move(made).value();
  }
  const auto is_mentioned = [&](const std::string& name) { return text.find("\"$" + name + '"') != std::string::npos; };
  if (complain_of_unread(unread, is_mentioned)) return std::nullopt;
  Result<Gate, ConfigError> gate = Gate::create(text, environment);
  if (!gate) {
    const ConfigError& error = gate.error();
    if (options.config_file.empty()) {
      // Lines and columns of a text that nobody wrote help nobody.
      std::fprintf(stderr, "postern: %s: %s: %s\n", place.c_str(), error.path.c_str(), error.message.c_str());
    } else {
      std::fprintf(stderr, "%s:%s\n", place.c_str(), error.text().c_str());
    }
    return std::nullopt;
  }
  std::array<std::uint8_t, 16> random{};
  if (::getrandom(random.data(), random.size(), 0) == static_cast<ssize_t>(random.size())) {
    gate->seed(random);
  } else {
    std::fprintf(stderr, "postern: WARNING: the system has no random bytes: every token is verified each time\n");
  }
  for (const std::string& warning : gate->warnings()) std::fprintf(stderr, "postern: WARNING: %s\n", warning.c_str());
  return std::move(gate).value();
}

int explain(const Options& options) {
  std::optional<Gate> gate = load(options);
  if (!gate) return status_wrong_input;
  std::string authorization;
  if (!options.token_file.empty()) {
    const auto token = read_file(options.token_file);
    if (!token) return status_wrong_input;
    std::string_view trimmed = *token;
    while (!trimmed.empty() && (trimmed.back() == '\n' || trimmed.back() == '\r' || trimmed.back() == ' '))
      trimmed.remove_suffix(1);
    authorization = "Bearer " + std::string(trimmed);
  }
  std::string body;
  if (!options.body_file.empty()) {
    auto read = read_file(options.body_file);
    if (!read) return status_wrong_input;
    body = std::move(*read);
  }
  const HeaderView header{"authorization", authorization};
  const RequestHead head{options.method, options.path, &header, authorization.empty() ? std::size_t{0} : std::size_t{1}};
  std::printf("%s\n", gate->explain(head, body, now()).c_str());
  return 0;
}

// A path that stands in a file is looked for from that file's folder.
std::string beside(const std::string& file, const std::string& path) {
  const std::size_t slash = file.rfind('/');
  return path.starts_with('/') || slash == std::string::npos ? path : file.substr(0, slash + 1) + path;
}

int test(const Options& options) {
  const auto tests = read_file(options.tests_file);
  if (!tests) return status_wrong_input;
  const auto complain = [&options](const ConfigError& error) {
    std::fprintf(stderr, "%s:%s%s\n", options.tests_file.c_str(), error.line == 0 ? " " : "", error.text().c_str());
    return status_wrong_input;
  };
  std::string config_file = options.config_file;
  if (config_file.empty()) {
    const auto named = policy_test_config(*tests);
    if (!named) return complain(named.error());
    if (!named->empty()) config_file = beside(options.tests_file, named.value());
  }
  std::string config;
  if (!config_file.empty()) {
    auto read = read_file(config_file);
    if (!read) return status_wrong_input;
    config = std::move(*read);
  }
  const auto report = test_policy(*tests, config);
  if (!report) return complain(report.error());
  std::fputs((options.json ? json_lines(report.value()) : readable(report.value())).c_str(), stdout);
  return report->failed == 0 ? 0 : 1;
}

// The token goes to stdout, to be piped on, and what the configuration needs after it.
int hash_or_make_token(const Options& options) {
  std::string token;
  if (options.make_token) {
    auto made = make_token(options.api_key_prefix, options.api_key_id);
    if (!made) {
      std::fprintf(stderr, "postern: the system gives no randomness\n");
      return 1;
    }
    token = std::move(*made);
    std::printf("%s\n", token.c_str());
  } else {
    token = read_file("-").value_or("");
    while (token.ends_with('\n') || token.ends_with('\r')) token.pop_back();
    if (token.empty()) {
      std::fprintf(stderr, "postern: no token on stdin; try: printf %%s TOKEN | postern hash-token\n");
      return status_wrong_input;
    }
  }
  std::printf("%s\n", hash_token(token).c_str());
  return 0;
}

int run(const Options& options) {
  switch (options.command) {
    case Command::version:
      std::printf("postern %s\n", POSTERN_VERSION);
      return 0;
    case Command::hash_token:
      return hash_or_make_token(options);
    case Command::new_key: {
      const auto key = make_assertion_key();
      if (!key) {
        std::fprintf(stderr, "postern: the system gives no randomness\n");
        return 1;
      }
      std::printf("%s\n%s\n", key->private_jwk.c_str(), key->public_jwks.c_str());
      return 0;
    }
    case Command::check_config:
      if (!load(options)) return status_wrong_input;
      std::printf("%s: ok\n", options.config_file.c_str());
      return 0;
    case Command::routes:
      return print_routes(options.routes_as_json);
    case Command::explain:
      return explain(options);
    case Command::test:
      return test(options);
    case Command::serve: {
      std::optional<Gate> gate = load(options);
      if (!gate) return status_wrong_input;
      const bool loopback = asio::ip::make_address(options.serve.address).is_loopback();
      if (!loopback) {
        std::fprintf(
            stderr,
            "postern: WARNING: clients reach %s without TLS; put a TLS terminator in front, or tokens travel in the clear\n",
            options.serve.address.c_str());
      }
      ServeOptions serve = options.serve;
      if (serve.denylist_redis) serve.redis_login = redis_login();
      return Server(*gate, serve).run();
    }
  }
  return 1;
}

}  // namespace
}  // namespace postern::native

int main(int argc, char** argv) {
  using namespace postern::native;
  try {
    const auto parsed = parse_options(argc, argv);
    if (const auto* done = std::get_if<ExitStatus>(&parsed)) return done->code;
    return run(std::get<Options>(parsed));
  } catch (const std::invalid_argument& wrong) {
    std::fprintf(stderr, "postern: %s\n", wrong.what());
    return postern::native::status_wrong_input;
  } catch (const std::exception& failure) {
    std::fprintf(stderr, "postern: %s\n", failure.what());
    return 1;
  }
}
