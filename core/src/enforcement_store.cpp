// The store: items belong to whoever's namespace they are in, as the policy's `namespace` says.
//
// Labels hold no ".", which separates them in GET's query, no ":", which joins them in the JS server (["a:b"] and ["a", "b"]
// are one place there), and no "*", its wildcard. Its search takes a prefix as text, so that ["ali"] finds alice's items:
// every reply is judged label by label.
#include <algorithm>

#include "enforcement.h"
#include "escape.h"
#include "handler.h"
#include "reply.h"

namespace postern {
namespace {

using Labels = std::vector<std::string>;

// Pages that are asked for where a reply held what is somebody else's.
constexpr int scanned_pages_max = 10;
constexpr std::int64_t page_max = 1000;

bool is_label(std::string_view text) {
  return !text.empty() && text.size() <= 256 && std::none_of(text.begin(), text.end(), [](char c) {
    return c == '.' || c == ':' || c == '*' || static_cast<unsigned char>(c) < 0x20 || c == 0x7f;
  });
}

constexpr Reason bad_labels{Error::field_malformed,
                            "a namespace is made of non-empty labels without '.', ':', '*' and control characters"};

// Labels of a body's list; nothing when one is none.
std::optional<Labels> labels_of(const json::Value* list) {
  Labels out;
  if (list == nullptr || list->is_null()) return out;
  if (!list->is_array()) return std::nullopt;
  for (const json::Value& item : list->items()) {
    if (!item.is_string() || !is_label(item.as_string())) return std::nullopt;
    out.push_back(item.as_string());
  }
  return out;
}

json::Value to_json(const Labels& labels) {
  json::Value out = json::Value::array();
  for (const std::string& label : labels) out.push_back(json::Value::string(label));
  return out;
}

bool starts_with(const Labels& labels, const Labels& prefix) {
  return labels.size() >= prefix.size() && std::equal(prefix.begin(), prefix.end(), labels.begin());
}

Labels joined(const Labels& first, const Labels& second) {
  Labels out = first;
  out.insert(out.end(), second.begin(), second.end());
  return out;
}

// The namespace of an upstream's item, as it stands there: what it holds is not ours to refuse.
Labels stored_labels(const json::Value* list) {
  Labels out;
  if (list == nullptr) return out;
  for (const json::Value& item : list->items()) out.push_back(item.as_string());
  return out;
}

std::int64_t integer_member(const json::Value& body, std::string_view name, std::int64_t otherwise) {
  const json::Value* value = body.find(name);
  return value == nullptr ? otherwise : value->as_integer().value_or(otherwise);
}

}  // namespace

// Asks the program's handler about a namespace, which it may allow, refuse or put another in the place of. What it allows holds
// for the reply as well, label by label.
Flow<bool> Enforcement::consult_about(std::vector<std::string>& labels, const json::Value& value) {
  if (!co_await consult(decision_, Resource::store, route().action, value, nullptr)) co_return false;
  if (filtered()) {
    co_return refuse(Error::filter_not_enforceable,
                     "the store is kept apart by `namespace`, not by a filter that a handler returns");
  }
  if (changed_namespace_) {
    // A namespace that is none would be the whole store.
    auto changed = changed_namespace_->is_array() ? labels_of(&*changed_namespace_) : std::nullopt;
    if (!changed) co_return refuse(handler_fault("it made `value.namespace` something else than a list of labels"));
    labels = *std::move(changed);
  }
  if (!decision_.namespace_rule) decision_.namespace_rule = NamespaceRule{NamespaceRule::Mode::require, labels};
  co_return true;
}

Flow<bool> Enforcement::store_item() {
  // The store has no metadata that a filter could look at.
  if (filtered()) co_return refuse(Error::filter_not_enforceable, "the store is kept apart by `namespace`, not by a filter");
  const bool by_query = route().method == "GET";
  std::optional<Labels> labels;
  if (by_query) {
    // One parameter, its labels joined with ".".
    const std::string* text = match_.parameter("namespace");
    json::Value list = json::Value::array();
    std::string_view rest = text == nullptr ? std::string_view{} : std::string_view(*text);
    while (text != nullptr) {
      const std::size_t dot = rest.find('.');
      list.push_back(json::Value::string(rest.substr(0, dot)));
      if (dot == std::string_view::npos) break;
      rest.remove_prefix(dot + 1);
    }
    labels = labels_of(&list);
    if (match_.parameter("key") == nullptr) co_return refuse(Error::query_not_accepted, "the query parameter \"key\" is missing");
  } else {
    labels = labels_of(body_.find("namespace"));
    if (body_string("key").empty()) co_return refuse(Error::field_malformed, "the field \"key\" is missing");
  }
  if (!labels) co_return refuse(bad_labels);

  if (asks_handlers()) {
    json::Value value = json::Value::object();
    value.set("namespace", to_json(*labels));
    const std::string* key = match_.parameter("key");
    value.set("key", json::Value::string(by_query && key != nullptr ? std::string_view(*key) : body_string("key")));
    if (const json::Value* item = body_.find("value")) value.set("value", *item);
    if (!co_await consult_about(*labels, value)) co_return false;
  }
  std::size_t put_before = 0;
  if (decision_.namespace_rule) {
    const NamespaceRule& rule = *decision_.namespace_rule;
    if (rule.mode == NamespaceRule::Mode::rewrite) {
      labels = joined(rule.labels, *labels);
      put_before = rule.labels.size();
    } else if (!starts_with(*labels, rule.labels)) {
      co_return refuse(Error::namespace_denied);
    }
  }
  if (by_query) {
    std::string text;
    for (const std::string& label : *labels) text += (text.empty() ? "" : ".") + label;
    if (!text.empty()) query_ += std::string(query_.empty() ? "?" : "&") + "namespace=" + percent_encode(text);
  } else {
    body_.set("namespace", to_json(*labels));
  }
  if (!by_query || !decision_.namespace_rule) co_return forward();

  // Kept: more pages may be asked for.
  IncomingResponse reply = std::move(co_await forward_inspected());
  if (!usable(reply)) co_return false;
  if (reply.status != 200) co_return pass(reply);
  json::Value item;
  if (!take_json(reply, item)) co_return false;
  if (item.is_null()) co_return pass(reply);  // there is none
  const Labels stored = stored_labels(item.find("namespace"));
  if (stored != *labels) co_return refuse(Error::object_unknown, "Item not found");
  if (put_before != 0) {
    item.set("namespace", to_json(Labels(stored.begin() + static_cast<std::ptrdiff_t>(put_before), stored.end())));
    reply.body = json::write(item);
  }
  co_return pass(reply);
}

Flow<bool> Enforcement::store_search() { return store_list("namespace_prefix", "items"); }

Flow<bool> Enforcement::store_namespaces() {
  const auto suffix = labels_of(body_.find("suffix"));
  return suffix ? store_list("prefix", "namespaces") : at_once(refuse(bad_labels));
}

// A list of items or of namespaces, under a prefix. Where the upstream's reply holds what is not under it, label by label,
// the list is made of as many of its pages as it takes.
Flow<bool> Enforcement::store_list(const char* prefix_name, const char* list_name) {
  if (filtered()) co_return refuse(Error::filter_not_enforceable, "the store is kept apart by `namespace`, not by a filter");
  auto asked = labels_of(body_.find(prefix_name));
  if (!asked) co_return refuse(bad_labels);
  if (asks_handlers()) {
    json::Value value = json::Value::object();
    const json::Value* sent = body_.find(prefix_name);
    value.set("namespace", sent == nullptr ? json::Value{} : *sent);
    for (const Field& field : route().body) {
      if (field.name == prefix_name || field.name == "refresh_ttl") continue;
      const json::Value* member = body_.find(field.name);
      value.set(field.name, member == nullptr ? json::Value{} : *member);
    }
    if (!co_await consult_about(*asked, value)) co_return false;
  }
  if (!decision_.namespace_rule) co_return forward();
  const NamespaceRule& rule = *decision_.namespace_rule;
  Labels prefix = *asked;
  std::size_t put_before = 0;
  if (rule.mode == NamespaceRule::Mode::rewrite) {
    prefix = joined(rule.labels, prefix);
    put_before = rule.labels.size();
    if (const auto depth = integer_member(body_, "max_depth", -1); depth >= 0) {
      body_.set("max_depth", json::Value::number(depth + static_cast<std::int64_t>(put_before)));
    }
  } else if (prefix.size() < rule.labels.size() && starts_with(rule.labels, prefix)) {
    // Less than one's own part is asked for: one's own part it is, as a search shows one's own threads.
    prefix = rule.labels;
  } else if (!starts_with(prefix, rule.labels)) {
    co_return refuse(Error::namespace_denied);
  }
  // The JS server takes an empty prefix of namespaces for a missing one.
  if (!prefix.empty() || body_.find(prefix_name) != nullptr) body_.set(prefix_name, to_json(prefix));
  has_body_ = true;

  const bool items = std::string_view(list_name) == "items";
  const std::int64_t limit = integer_member(body_, "limit", items ? 10 : 100);
  const std::int64_t offset = integer_member(body_, "offset", 0);
  const auto labels_in = [&](const json::Value& one) { return stored_labels(items ? one.find("namespace") : &one); };

  // Kept: more pages may be asked for.
  IncomingResponse reply = std::move(co_await forward_inspected());
  if (!usable(reply)) co_return false;
  if (reply.status != 200) co_return pass(reply);
  json::Value answer;
  if (!take_json(reply, answer)) co_return false;
  json::Value* list = answer.find(list_name);
  if (list == nullptr || !list->is_array()) co_return refuse(Error::upstream_failed);
  const std::size_t received = list->items().size();
  std::erase_if(list->items(), [&](const json::Value& one) { return !starts_with(labels_in(one), prefix); });

  if (list->items().size() != received || offset > 0) {
    // Something of somebody else's stands between: one's own are counted from the start.
    std::vector<json::Value> own;
    const std::size_t wanted = static_cast<std::size_t>(offset) + static_cast<std::size_t>(limit);
    json::Value query = body_;
    query.set("limit", json::Value::number(page_max));
    for (int page = 0;; ++page) {
      if (page == scanned_pages_max) {
        co_return refuse(Error::search_not_enforceable, "more than 10000 of the store's entries would have to be looked through");
      }
      query.set("offset", json::Value::number(page * page_max));
      const IncomingResponse& more = co_await ask("POST", match_.path, json::write(query), gate_.settings.limits.reply_bytes_max);
      json::Value found;
      if (!take_answer(more, found)) co_return false;
      const json::Value* entries = found.find(list_name);
      if (entries == nullptr) co_return refuse(Error::upstream_failed);
      for (const json::Value& one : entries->items()) {
        if (starts_with(labels_in(one), prefix)) own.push_back(one);
      }
      if (own.size() >= wanted || static_cast<std::int64_t>(entries->items().size()) < page_max) break;
    }
    json::Value page = json::Value::array();
    for (std::size_t i = static_cast<std::size_t>(offset); i < own.size() && i < wanted; ++i) page.push_back(std::move(own[i]));
    *list = std::move(page);
  }
  if (put_before != 0) {
    for (json::Value& one : list->items()) {
      const Labels stored = labels_in(one);
      json::Value shown = to_json(Labels(stored.begin() + static_cast<std::ptrdiff_t>(put_before), stored.end()));
      if (items) {
        one.set("namespace", std::move(shown));
      } else {
        one = std::move(shown);
      }
    }
  }
  reply.body = json::write(answer);
  co_return pass(reply);
}

}  // namespace postern
