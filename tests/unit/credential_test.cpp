// What the case files cannot say: every character of the header's grammar.
#include "credential.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace postern {
namespace {

Result<std::string_view> token_of(std::string_view value) {
  const HeaderView header{"authorization", value};
  const auto text = bearer_text(RequestHead{"GET", "/", &header, 1});
  return text ? bearer_token(text.value()) : text;
}

TEST(Credential, PaddingStandsAtTheEndOnly) {
  // RFC 6750 2.1: b64token = 1*( ALPHA / DIGIT / "-" / "." / "_" / "~" / "+" / "/" ) *"="
  for (const char* good : {"a", "a=", "a==", "a.b-c_d~e+f/g=", "Z9"}) {
    const std::string value = "Bearer " + std::string(good);  // the token is a view into it
    auto token = token_of(value);
    ASSERT_TRUE(token.ok()) << good;
    EXPECT_EQ(*token, good);
  }
  for (const char* bad : {"=", "==", "=a", "a=b", "a=b=", "a= ", "a=,"}) {
    auto token = token_of("Bearer " + std::string(bad));
    ASSERT_FALSE(token.ok()) << bad;
    EXPECT_EQ(token.error(), Error::credential_malformed) << bad;
  }
}

TEST(Credential, EveryOtherByteIsRefused) {
  constexpr std::string_view characters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~+/";
  for (int byte = 0; byte < 256; ++byte) {
    const char c = static_cast<char>(byte);
    const std::string value = std::string("Bearer a") + c + "b";
    EXPECT_EQ(token_of(value).ok(), characters.find(c) != std::string_view::npos) << byte;
  }
}

class Cookie : public ::testing::Test {
 protected:
  // "" when a token is found, else the error's name.
  std::string outcome(std::string_view method, std::vector<HeaderView> headers) {
    const CookieSettings cookie{"session", {"https://app.example"}};
    auto found = cookie_token(RequestHead{method, "/", headers.data(), headers.size()}, cookie);
    token = found ? std::string(found.value()) : "";
    return found ? "" : std::string(name(found.error()));
  }
  std::string token;
};

TEST_F(Cookie, IsFoundAmongOthers) {
  for (const char* value : {"session=abc", "a=b; session=abc; c=d", "session_2=x;session=abc", "xsession=q; session=abc"}) {
    EXPECT_EQ(outcome("POST", {{"Cookie", value}, {"origin", "https://app.example"}}), "") << value;
    EXPECT_EQ(token, "abc") << value;
  }
  EXPECT_EQ(outcome("POST", {{"cookie", "a=b"}, {"cookie", "session=abc"}, {"origin", "https://app.example"}}), "");
  EXPECT_EQ(outcome("POST", {{"cookie", "Session=abc"}, {"origin", "https://app.example"}}), "credential_missing");
  EXPECT_EQ(outcome("POST", {{"origin", "https://app.example"}}), "credential_missing");
  EXPECT_EQ(outcome("POST", {{"cookie", "session=abc; session=def"}, {"origin", "https://app.example"}}),
            "credential_duplicated");
  EXPECT_EQ(outcome("POST", {{"cookie", "session="}, {"origin", "https://app.example"}}), "credential_malformed");
}

TEST_F(Cookie, CountsForListedPagesOnly) {
  const HeaderView session{"cookie", "session=abc"};
  for (const char* origin : {"https://evil.example", "http://app.example", "https://app.example:8443", "https://app.example/",
                             "null", "https://APP.example", ""}) {
    EXPECT_EQ(outcome("POST", {session, {"origin", origin}}), "origin_not_allowed") << origin;
    EXPECT_EQ(outcome("GET", {session, {"origin", origin}, {"sec-fetch-site", "same-origin"}}), "origin_not_allowed") << origin;
  }
  EXPECT_EQ(outcome("GET", {session, {"sec-fetch-site", "same-origin"}}), "");
  EXPECT_EQ(outcome("HEAD", {session, {"sec-fetch-site", "same-origin"}}), "");
  EXPECT_EQ(outcome("POST", {session, {"sec-fetch-site", "same-origin"}}), "origin_not_allowed")
      << "browsers send Origin with it";
  EXPECT_EQ(outcome("GET", {session, {"sec-fetch-site", "same-site"}}), "origin_not_allowed");
  EXPECT_EQ(outcome("GET", {session}), "origin_not_allowed");
  EXPECT_EQ(outcome("GET", {session, {"origin", "https://app.example"}, {"origin", "https://app.example"}}),
            "origin_not_allowed");
}

// Whole blocks are judged at once: each byte counts at each place of tokens shorter, as long and longer than a block.
TEST(Credential, EveryByteOfATokenIsJudged) {
  const std::string_view good = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-._~+/";
  for (const std::size_t size : {1U, 2U, 15U, 16U, 17U, 31U, 32U, 33U, 48U, 50U}) {
    for (std::size_t at = 0; at < size; ++at) {
      for (int byte = 0; byte < 256; ++byte) {
        const char c = static_cast<char>(byte);
        std::string token(size, 'x');
        token[at] = c;
        const std::string value = "Bearer " + token;
        const bool padding = c == '=' && at == size - 1 && size > 1;
        const bool leading_space = c == ' ' && at == 0 && size > 1;  // one more between scheme and token
        EXPECT_EQ(token_of(value).ok(), good.find(c) != std::string_view::npos || padding || leading_space)
            << size << " " << at << " " << byte;
      }
    }
  }
}

}  // namespace
}  // namespace postern
