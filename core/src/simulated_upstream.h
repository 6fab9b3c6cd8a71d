// A LangGraph server as far as a policy's test needs one: it keeps objects with metadata, searches, makes and changes them.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "json.h"
#include "postern/request.h"

namespace postern {

class SimulatedUpstream {
 public:
  explicit SimulatedUpstream(std::string url) : url_(std::move(url)) {}

  // `kind` is threads, assistants or crons; `object` has an id, and metadata unless it is {}.
  void add(std::string_view kind, const json::Value& object);
  // {namespace: [...], key, value}
  void add_store_item(json::Value item) { store_.push_back(std::move(item)); }
  // The reply to "METHOD /path", for routes that this knows nothing about.
  void set_reply(std::string method_and_path, json::Value body) {
    replies_.emplace_back(std::move(method_and_path), std::move(body));
  }

  // As the server would answer; remembers the request.
  [[nodiscard]] IncomingResponse answer(const OutgoingRequest& request);

  // Everything that was asked, in order: {method, target, body}, body parsed (null when there is none).
  [[nodiscard]] const std::vector<json::Value>& requests() const { return requests_; }

 private:
  struct Kind {
    std::string_view name;
    std::string_view path;
    std::string_view id_field;
  };
  struct Object {
    std::string_view kind;
    std::string id;
    json::Value value;
  };

  [[nodiscard]] IncomingResponse answer_kind(const Kind& kind, std::string_view method, std::string_view rest,
                                             const json::Value& body);
  [[nodiscard]] IncomingResponse create(const Kind& kind, const json::Value& body);
  [[nodiscard]] json::Value search(const Kind& kind, const json::Value& body, bool paged) const;
  [[nodiscard]] IncomingResponse answer_store(std::string_view method, std::string_view path, std::string_view query,
                                              const json::Value& body);
  [[nodiscard]] Object* find(const Kind& kind, std::string_view id);

  std::string url_;
  std::vector<Object> objects_;
  std::vector<json::Value> store_;
  std::vector<std::pair<std::string, json::Value>> replies_;
  std::vector<json::Value> requests_;
  unsigned made_ = 0;
};

// Whether `a` holds what `b` says: objects member by member, lists item by item in any order, the rest equal (jsonb @>).
[[nodiscard]] bool contains(const json::Value& a, const json::Value& b);

}  // namespace postern
