// The configuration's JSON, member by member: a reader of an object that says where and what is wrong.
//
// The first fault of a text stays: later reads leave their defaults, so that a parser is a list of members without a branch at
// each. Which members there are is what was asked for; `done` tells of the first that nobody asked about.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "json.h"
#include "postern/config.h"
#include "refusal.h"

namespace postern {

// What the readers of one text share.
struct ConfigContext {
  const Environment& environment;              // what "$NAME" in a secret stands for
  std::vector<std::string> warnings = {};      // for a person at start, one line each
  std::optional<json::ParseFault> fault = {};  // "path: what is wrong"
};

// One place of the text. It may be empty (the member is absent, or there is a fault already): then nothing is read, and nothing
// can be wrong. Keys are literals.
class ConfigReader {
 public:
  // In the place of a key: the value itself that the reader stands at.
  static constexpr const char* itself = nullptr;
  enum class Presence : std::uint8_t { optional, required };

  // The whole text. `path` is what faults begin with.
  ConfigReader(ConfigContext& context, const json::Value& value, std::string_view path = {});
  // The object at a member, else "KEY: WHAT".
  ConfigReader(ConfigReader& parent, const char* key, const char* what, Presence presence = Presence::optional);
  // The object at an item of a list, else "KEY[INDEX]: WHAT".
  ConfigReader(ConfigReader& parent, const char* key, std::size_t index, const char* what);
  // A member of an object whose names are the configuration's own, in the text's order; index < parent.size().
  ConfigReader(const ConfigReader& parent, std::size_t index);
  ConfigReader(const ConfigReader&) = delete;
  ConfigReader& operator=(const ConfigReader&) = delete;

  explicit operator bool() const { return value_ != nullptr; }
  [[nodiscard]] bool good() const { return value_ != nullptr && !context_->fault; }
  [[nodiscard]] ConfigContext& context() const { return *context_; }
  [[nodiscard]] const json::Value& value() const { return *value_; }  // precondition: not empty
  [[nodiscard]] std::string_view name() const { return name_; }       // a member's
  [[nodiscard]] std::size_t size() const { return good() ? value_->members().size() : 0; }
  [[nodiscard]] std::string path() const;

  // nullptr: absent, or nothing is read any more. Whatever was asked for once is known.
  const json::Value* find(const char* key);

  // A member that may stand there and means nothing.
  void ignore(const char* key) { static_cast<void>(find(key)); }

  // Each leaves `out` when there is no such member. `missing`: what to say when `out` is empty afterwards.
  void string(const char* key, std::string& out, const char* missing = nullptr);
  void strings(const char* key, std::vector<std::string>& out, const char* missing = nullptr);  // a string, or a list of them
  void boolean(const char* key, bool& out);
  void integer(const char* key, std::int64_t min, std::int64_t max, std::int64_t& out);
  void integer(const char* key, std::int64_t min, std::int64_t max, std::size_t& out);
  // A string that may be "$NAME", which is looked up in the environment; anything else stands for itself.
  void secret(const char* key, std::string& out, const char* missing = nullptr);
  // Keys decide who gets in: they travel over TLS, or never leave this machine (http: loopback only).
  void secure_url(const char* key, std::string& out, const char* missing = nullptr);
  // Which of `words`, which have spaces between, stands there; `otherwise` when nothing does. Else "KEY: WHAT".
  [[nodiscard]] std::size_t choice(const char* key, const char* words, std::size_t otherwise, const char* what);
  // How long the list at a member is, which may not be empty. 0: there is none.
  [[nodiscard]] std::size_t list(const char* key, const char* what, Presence presence = Presence::optional);

  void check_secure_url(const char* key, const std::string& text);

  void fail(const char* key, const char* what);
  void fail(const char* key, std::initializer_list<std::string_view> what);
  // Of a value within a member: the path is the member's, the place in the text the value's.
  void fail_at(const char* key, const json::Value& at, const char* what);
  void fail_at(const char* key, const json::Value& at, std::initializer_list<std::string_view> what);
  // What another parser says of a member.
  void fail_in(const char* key, const json::ParseFault& fault);

  // A member that nobody asked about is a fault, and told before whatever else is wrong in this object (a name that is misspelt
  // is missing too), with the nearest name that was asked for.
  void done();

 private:
  // The most members of one object that mean something; more are a fault of this program.
  static constexpr std::size_t keys_max = 24;

  void set_fault(std::size_t offset, const char* key, std::initializer_list<std::string_view> what);

  ConfigContext* context_;
  const ConfigReader* parent_ = nullptr;
  const json::Value* value_ = nullptr;  // nullptr: empty
  std::string_view name_;
  std::optional<std::size_t> index_;
  std::array<const char*, keys_max> asked_{};
  std::size_t asked_count_ = 0;
};

// The place of `text` among words with spaces between; nothing when it is none of them.
[[nodiscard]] std::optional<std::size_t> find_word(std::string_view words, std::string_view text);

[[nodiscard]] bool is_loopback_host(std::string_view host);

struct Url {
  std::string_view scheme;
  std::string_view host;
  std::string_view rest;  // path
};

// scheme://host[:port][/path]: no user, query, fragment or odd character.
[[nodiscard]] std::optional<Url> parse_url(std::string_view text);

[[nodiscard]] std::string without_trailing_slash(std::string text);

}  // namespace postern
