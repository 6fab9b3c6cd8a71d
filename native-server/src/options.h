// The command line -> what to do. Says what is wrong and how to mend it; starts nothing.
#pragma once

#include <string>
#include <variant>

#include "serve.h"

namespace postern::native {

enum class Command : std::uint8_t { serve, explain, check_config, routes, test, hash_token, new_key, version };

struct Options {
  Command command = Command::serve;
  ServeOptions serve;

  // Either a file, or its text composed from flags.
  std::string config_file;
  std::string config_text;
  bool config_from_environment = false;  // neither file nor flags were given

  // explain
  std::string method = "GET";
  std::string path;
  std::string token_file;
  std::string body_file;

  // test
  std::string tests_file;
  bool json = false;
  // routes
  bool routes_as_json = false;
  // hash-token
  bool make_token = false;
  std::string api_key_id;  // "": a bearer token
  std::string api_key_prefix = "pk";
};

// What main is to do at once: 0 after --help, 2 after a mistake (which was printed).
struct ExitStatus {
  int code;
};

[[nodiscard]] std::variant<Options, ExitStatus> parse_options(int argc, char** argv);

}  // namespace postern::native
