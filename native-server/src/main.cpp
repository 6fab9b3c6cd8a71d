// postern: the gate as one program.
#include <cerrno>
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

#include "io.h"
#include "options.h"
#include "postern/gate.h"
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
  Result<Gate, ConfigError> gate = Gate::create(text, process_environment());
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

int run(const Options& options) {
  switch (options.command) {
    case Command::version:
      std::printf("postern %s\n", POSTERN_VERSION);
      return 0;
    case Command::check_config:
      if (!load(options)) return status_wrong_input;
      std::printf("%s: ok\n", options.config_file.c_str());
      return 0;
    case Command::routes:
      return print_routes(options.routes_as_json);
    case Command::explain:
      return explain(options);
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
      return Server(*gate, options.serve).run();
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
