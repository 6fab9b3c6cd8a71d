// Searches and counts under a filter.
//
// The servers' searches know one thing: metadata that contains given fields (AND). A filter that says just that goes into the
// client's own search. Any other is taken apart: $or into searches whose results are merged, $contains into a look through
// pages. Both have bounds, beyond which the answer is 422: never a page that is short, or a count that is wrong.
#include <algorithm>
#include <set>

#include "enforcement.h"
#include "reply.h"
#include "rewrite.h"
#include "text.h"

namespace postern {
namespace {

// The servers' own bound on `limit`.
constexpr std::int64_t page_max = 1000;
// A search in parts costs an upstream call for each.
constexpr std::size_t branches_max = 8;
constexpr std::size_t scanned_pages_max = 10;
// Asked for beyond what is wanted, so that objects with one time stamp at the end of a part are all seen.
constexpr std::int64_t tie_slack = 16;

struct ListRules {
  const char* path;
  const char* id_key;
  bool has_ids;  // the search takes `ids`, so that a page's objects can be had afterwards
};

ListRules list_rules(Resource resource) {
  switch (resource) {
    case Resource::assistants:
      return {"/assistants/search", "assistant_id", false};
    case Resource::crons:
      return {"/runs/crons/search", "cron_id", false};
    default:
      return {"/threads/search", "thread_id", true};
  }
}

// Time stamps of one server in one form: without the zone, "…12" sorts before "…12.5".
std::string_view sort_key(const json::Value& item, const std::string& sort_by) {
  const json::Value* value = item.find(sort_by);
  if (value == nullptr || !value->is_string()) return {};
  std::string_view text = value->as_string();
  if (!sort_by.ends_with("_at") && !sort_by.ends_with("_date") && !sort_by.ends_with("_time")) return text;
  if (text.ends_with("Z")) text.remove_suffix(1);
  if (text.ends_with("+00:00")) text.remove_suffix(6);
  return text;
}

bool has_next_page(const IncomingResponse& reply) {
  return std::any_of(reply.headers.begin(), reply.headers.end(),
                     [](const Header& header) { return lower_case(header.name) == "x-pagination-next"; });
}

std::int64_t integer_member(const json::Value& body, std::string_view name, std::int64_t otherwise) {
  const json::Value* value = body.find(name);
  return value == nullptr ? otherwise : value->as_integer().value_or(otherwise);
}

// Whether the client's own search leaves room for what a branch asks of the same field.
bool contradicts(const json::Value& body, const std::vector<std::pair<std::string, json::Value>>& equalities) {
  for (const auto& [field, value] : equalities) {
    const json::Value* asked = metadata_of(body).find(field);
    if (asked != nullptr && !json::equal(*asked, value)) return true;
    for (const auto& [other, other_value] : equalities) {
      if (other == field && !json::equal(other_value, value)) return true;
    }
  }
  return false;
}

Refusal too_far(const char* what) {
  return {Error::search_not_enforceable, std::string("the policy's filter cannot be kept this far into a search: ") + what};
}

}  // namespace

struct Enforcement::Listing {
  std::vector<json::Value> items;  // as many as were wanted, or all there are
  bool more = false;               // there are others after them
  bool names_only = false;         // ids and metadata: the page's objects are still to be asked for
};

Flow<bool> Enforcement::search() {
  if (!filtered()) co_return forward();
  if (!decision_.filter->equalities().empty()) co_return co_await search_upstream();

  const std::int64_t limit = integer_member(body_, "limit", 10);
  const std::int64_t offset = integer_member(body_, "offset", 0);
  if (limit < 1 || limit > page_max) co_return refuse(Error::field_malformed, "the field \"limit\" must be from 1 to 1000");
  if (offset + limit > page_max) co_return refuse(too_far("offset and limit together may be 1000 at most"));

  Listing listing;
  if (!co_await gather(static_cast<std::size_t>(offset + limit), listing)) co_return false;
  json::Value page = json::Value::array();
  for (std::size_t i = static_cast<std::size_t>(offset); i < listing.items.size(); ++i)
    page.push_back(std::move(listing.items[i]));

  const ListRules rules = list_rules(route().resource);
  // What a look through pages left out of the objects is asked for now.
  if (listing.names_only && !page.items().empty()) {
    json::Value query = json::Value::object();
    for (const std::string_view name : {"select", "extract"}) {
      if (const json::Value* member = body_.find(name)) query.set(name, *member);
    }
    json::Value ids = json::Value::array();
    for (const json::Value& item : page.items()) ids.push_back(*item.find(rules.id_key));
    query.set("ids", std::move(ids));
    query.set("limit", json::Value::number(static_cast<std::int64_t>(page.items().size())));
    const auto added = select_also(query, {std::string(rules.id_key), "metadata"});
    const IncomingResponse& found = co_await ask("POST", rules.path, json::write(query), gate_.settings.limits.reply_bytes_max);
    json::Value list;
    if (!take_list(found, list)) co_return false;
    json::Value whole = json::Value::array();
    for (const json::Value& item : page.items()) {
      const std::string& id = item.find(rules.id_key)->as_string();
      const auto& objects = list.items();
      const auto object =
          std::find_if(objects.begin(), objects.end(), [&](const json::Value& one) { return has_string(one, rules.id_key, id); });
      if (object == objects.end() || !admits(metadata_of(*object))) continue;  // gone, or given away, just now
      json::Value kept = *object;
      for (const std::string& name : added) kept.remove(name);
      whole.push_back(std::move(kept));
    }
    page = std::move(whole);
  }

  Respond& reply = driver_.end_with<Respond>();
  reply = json_reply(200, page);
  // As both servers count: the offset that was reached, and one more where there is more.
  const std::int64_t reached = offset + static_cast<std::int64_t>(page.items().size());
  reply.headers.push_back({"x-pagination-total", std::to_string(reached + (listing.more ? 1 : 0))});
  if (listing.more) reply.headers.push_back({"x-pagination-next", std::to_string(reached)});
  co_return true;
}

Flow<bool> Enforcement::search_upstream() {
  require_metadata(body_, decision_.filter->equalities());
  const auto added = select_also(body_, {"metadata"});
  IncomingResponse& reply = co_await forward_inspected();
  if (!usable(reply)) co_return false;
  // About the client's own query; no object is in it.
  if (reply.status >= 400) co_return pass(reply);
  json::Value list;
  if (!take_json(reply, list)) co_return false;
  if (!list.is_array()) co_return refuse(Error::upstream_failed);
  auto& items = list.items();
  const std::size_t size_before = items.size();
  std::erase_if(items, [&](const json::Value& item) { return !admits(metadata_of(item)); });
  for (json::Value& item : items) {
    for (const std::string& name : added) item.remove(name);
  }
  if (!added.empty() || items.size() != size_before) reply.body = json::write(list);
  co_return pass(reply);
}

Flow<bool> Enforcement::count() {
  if (!filtered()) co_return forward();
  if (const auto equalities = decision_.filter->equalities(); !equalities.empty()) {
    require_metadata(body_, equalities);
    co_return forward();
  }
  json::Value select = json::Value::array();
  select.push_back(json::Value::string(list_rules(route().resource).id_key));
  body_.set("select", std::move(select));
  Listing listing;
  if (!co_await gather(scanned_pages_max * static_cast<std::size_t>(page_max), listing)) co_return false;
  if (listing.more) co_return refuse(too_far("there are too many objects to count"));
  driver_.end_with<Respond>() = json_reply(200, json::Value::number(static_cast<std::int64_t>(listing.items.size())));
  co_return true;
}

// The first `wanted` objects that the filter lets through, in the order that was asked for.
Flow<bool> Enforcement::gather(std::size_t wanted, Listing& listing) {
  const ListRules rules = list_rules(route().resource);
  const std::string id_key(rules.id_key);
  const std::size_t bytes_max = gate_.settings.limits.reply_bytes_max;
  json::Value query = body_;
  std::string sort_by(body_string("sort_by"));
  if (sort_by.empty()) sort_by = "created_at";
  const bool ascending = body_string("sort_order") == "asc";
  query.set("sort_by", json::Value::string(sort_by));
  query.set("sort_order", json::Value::string(ascending ? "asc" : "desc"));

  const std::vector<Filter> branches = decision_.filter->disjuncts(branches_max);
  const bool in_parts = !branches.empty() && std::all_of(branches.begin(), branches.end(),
                                                         [](const Filter& branch) { return !branch.equalities().empty(); });
  std::vector<std::string> added;
  std::set<std::string> seen;
  // An object may come twice: from two parts, or as the last of a page and, when one is made meanwhile, the first of the next.
  const auto keep = [&](json::Value& item) {
    const json::Value* id = item.find(id_key);
    if (id == nullptr || !admits(metadata_of(item))) return;
    if (seen.insert(id->as_string()).second) listing.items.push_back(std::move(item));
  };

  if (in_parts) {
    added = select_also(query, {id_key, "metadata", sort_by});
    // Where many objects may share a sort key, their order among themselves is the server's secret: all of them are needed.
    const bool tells_apart = sort_by == id_key || sort_by.ends_with("_at");
    for (const Filter& branch : branches) {
      const Equalities equalities = branch.equalities();
      if (contradicts(query, equalities)) continue;
      json::Value part = query;
      require_metadata(part, equalities);
      part.set("offset", json::Value::number(0));
      std::int64_t limit = tells_apart ? std::min(page_max, static_cast<std::int64_t>(wanted) + tie_slack) : page_max;
      for (;;) {
        part.set("limit", json::Value::number(limit));
        const IncomingResponse& reply = co_await ask("POST", rules.path, json::write(part), bytes_max);
        if (explaining_) break;
        json::Value list;
        if (!take_list(reply, list)) co_return false;
        auto& items = list.items();
        const bool more = has_next_page(reply) || static_cast<std::int64_t>(items.size()) > limit;
        if (more && sort_by != id_key) {
          // The last ones may have companions with the same key on the next page.
          const std::string last(items.empty() ? std::string_view{} : sort_key(items.back(), sort_by));
          while (!items.empty() && sort_key(items.back(), sort_by) == last) items.pop_back();
        }
        if (more && items.size() < wanted) {
          if (limit == page_max) co_return refuse(too_far("more than 1000 objects match one part of it"));
          limit = page_max;
          continue;
        }
        listing.more = listing.more || more;
        for (json::Value& item : items) keep(item);
        break;
      }
    }
    const auto comes_before = [&](const json::Value& a, const json::Value& b) {
      const std::string_view key_a = sort_key(a, sort_by);
      const std::string_view key_b = sort_key(b, sort_by);
      if (key_a != key_b) return ascending ? key_a < key_b : key_b < key_a;
      return a.find(id_key)->as_string() < b.find(id_key)->as_string();
    };
    // By a heap: a third of the code of std::sort, for a list that has to be fetched first.
    std::make_heap(listing.items.begin(), listing.items.end(), comes_before);
    std::sort_heap(listing.items.begin(), listing.items.end(), comes_before);
  } else {
    const Equalities necessary = decision_.filter->necessary();
    if (contradicts(query, necessary)) co_return true;
    if (!necessary.empty()) require_metadata(query, necessary);
    listing.names_only = rules.has_ids;
    if (rules.has_ids) {
      json::Value select = json::Value::array();
      select.push_back(json::Value::string(id_key));
      select.push_back(json::Value::string("metadata"));
      query.set("select", std::move(select));
      query.remove("extract");
    } else {
      added = select_also(query, {id_key, "metadata"});
    }
    query.set("limit", json::Value::number(page_max));
    for (std::size_t page = 0;; ++page) {
      if (page == scanned_pages_max) co_return refuse(too_far("more than 10000 objects would have to be looked through"));
      query.set("offset", json::Value::number(static_cast<std::int64_t>(page) * page_max));
      const IncomingResponse& reply = co_await ask("POST", rules.path, json::write(query), bytes_max);
      if (explaining_) break;
      json::Value list;
      if (!take_list(reply, list)) co_return false;
      for (json::Value& item : list.items()) keep(item);
      if (listing.items.size() > wanted || static_cast<std::int64_t>(list.items().size()) < page_max) break;
    }
  }
  if (listing.items.size() > wanted) {
    listing.more = true;
    listing.items.resize(wanted);
  }
  for (json::Value& item : listing.items) {
    for (const std::string& name : added) item.remove(name);
  }
  co_return true;
}

}  // namespace postern
