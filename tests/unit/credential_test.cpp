// What the case files cannot say: every character of the header's grammar.
#include "credential.h"

#include <gtest/gtest.h>

#include <string>

namespace postern {
namespace {

Result<std::string_view> token_of(std::string_view value) {
  const HeaderView header{"authorization", value};
  return bearer_token(RequestHead{"GET", "/", &header, 1});
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

}  // namespace
}  // namespace postern
