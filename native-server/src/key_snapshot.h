// The second-level key cache: a file that keeps the fetched keys over a restart (Gate::export_keys and import_keys).
#pragma once

#include <string>
#include <string_view>

namespace postern::native {

// The file's text; "" when there is none, it cannot be read or is larger than any snapshot. Refused, and told by `fault`: a
// file that others than its owner may write, since whoever writes it decides who gets in.
[[nodiscard]] std::string read_key_snapshot(const std::string& file, std::string& fault);

// Replaces the file in one step (a new one beside it, then a rename), readable and writable by the owner alone. "" or why not.
[[nodiscard]] std::string write_key_snapshot(const std::string& file, std::string_view text);

}  // namespace postern::native
