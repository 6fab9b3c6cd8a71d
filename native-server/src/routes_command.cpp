#include "routes_command.h"

#include <cstdio>
#include <string>

#include "postern/route_list.h"

namespace postern::native {

int print_routes(bool as_json) {
  const std::string text = as_json ? route_list_json() + "\n" : route_list_text();
  std::fwrite(text.data(), 1, text.size(), stdout);
  return 0;
}

}  // namespace postern::native
