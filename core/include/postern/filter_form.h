// How a filter is to be written as SQL; see Gate::filter_for and docs/filters.md.
#pragma once

#include <cstdint>
#include <string>

namespace postern {

enum class SqlDialect : std::uint8_t {
  postgres,  // `column` is of type jsonb
  sqlite,    // `column` holds JSON text; SQLite 3.38 or newer
};

struct FilterForm {
  SqlDialect dialect = SqlDialect::postgres;
  // The column with the metadata, spelled as the database stores it: NAME or TABLE.NAME, where a name is a letter or "_",
  // then letters, digits and "_". Written in double quotes.
  std::string column = "metadata";
  // "?" for every parameter, or "$N": the first parameter's number, counted up from there ("$1" to "$9999"). Empty: "$1" for
  // postgres, "?" for sqlite.
  std::string placeholder;
};

}  // namespace postern
