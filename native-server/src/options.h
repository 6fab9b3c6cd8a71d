// The command line -> what to do. Says what is wrong and how to mend it; starts nothing.
#pragma once

#include <string>
#include <variant>

#include "serve.h"

namespace postern::native {

enum class Command : std::uint8_t { serve, explain, check_config, routes, version };

struct Options {
  Command command = Command::serve;
  ServeOptions serve;

  // Either a file, or its text composed from flags.
  std::string config_file;
  std::string config_text;

  // explain
  std::string method = "GET";
  std::string path;
  std::string token_file;
  std::string body_file;

  // routes
  bool routes_as_json = false;
};

// What main is to do at once: 0 after --help, 2 after a mistake (which was printed).
struct ExitStatus {
  int code;
};

[[nodiscard]] std::variant<Options, ExitStatus> parse_options(int argc, char** argv);

}  // namespace postern::native
