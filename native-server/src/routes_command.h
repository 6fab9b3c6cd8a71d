// `postern routes`: prints the route table.
#pragma once

namespace postern::native {

// A line a row, or the JSON of postern/route_list.h. Returns the exit status, 0.
[[nodiscard]] int print_routes(bool as_json);

}  // namespace postern::native
