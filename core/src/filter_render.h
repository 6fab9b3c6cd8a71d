// A resolved Filter -> the words of other backends: LangGraph's dict, SQL, jsonb containment, Cerbos' query plan.
//
// Each rendering selects exactly the objects that Filter::matches accepts, or is null when its language cannot say it.
// No text of the filter stands in SQL: field names and operands are parameters, the column's name is a checked identifier.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "filter.h"
#include "postern/filter_form.h"
#include "postern/result.h"

namespace postern {

// What a policy says about a resource and an action, before any object is looked at.
enum class Reach : std::uint8_t { always_denied, always_allowed, conditional };

// {kind, langgraph, sql, jsonb, cerbos} as in docs/filters.md. `filter` is resolved; it is read for conditional alone.
// The error says what is wrong with the form.
[[nodiscard]] Result<json::Value, std::string> render_filter(Reach reach, const Filter* filter, const FilterForm& form);

}  // namespace postern
