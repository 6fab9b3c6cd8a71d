// Who is measured natively, and what they are given: the same tokens and orders as agents/ get in JavaScript.
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace bench {

struct Key {
  std::string kid;
  std::string pem;  // public; the secret itself for HS256
};

struct Token {
  std::size_t key = 0;
  bool good = false;  // one in 16 is not, in its signature
  std::string subject;
  std::string text;
};

struct Suite {
  std::string name;
  std::string kind;
  std::string alg;
  std::string config;  // a gate's, with the suite's keys
  std::vector<std::pair<std::string, std::string>> environment;
  std::vector<Key> keys;
  std::vector<Token> tokens;
};

inline constexpr const char* issuer = "https://project.example/auth/v1";
inline constexpr const char* audience = "authenticated";

class Contestant {
 public:
  virtual ~Contestant() = default;
  // Makes the inputs of these tokens anew; off the clock.
  virtual void prepare(const std::vector<const Token*>& tokens) = 0;
  // Works off the inputs; on the clock.
  virtual void run() = 0;
  // What became of each, in the order of prepare's tokens; off the clock. Those that verify signatures alone have no user.
  enum class Outcome : unsigned char { refused, right, mixed_up };
  [[nodiscard]] virtual Outcome outcome(std::size_t index) const = 0;
};

using Contestants = std::vector<std::pair<std::string, std::unique_ptr<Contestant>>>;

void add_postern(const Suite& suite, Contestants& out);
void add_signatures_alone(const Suite& suite, Contestants& out);  // OpenSSL's EVP, mbedTLS
void add_jwt_cpp(const Suite& suite, Contestants& out);

[[nodiscard]] std::string decode_base64url(const std::string& text);
// "where: what" on standard error, and the end: there is nobody to go on for.
[[noreturn]] void fail(const std::string& where, const std::string& what);

}  // namespace bench
