#include "signing.h"

#include <gtest/gtest.h>

#include "base64url.h"
#include "jws.h"

namespace postern {
namespace {

// RFC 6979 appendix A.2.5: the key and what it signs over "sample" and "test" with SHA-256.
std::string from_hex(std::string_view hex) {
  std::string out;
  const auto digit = [](char c) { return c <= '9' ? c - '0' : c - 'A' + 10; };
  for (std::size_t i = 0; i < hex.size(); i += 2) out += static_cast<char>(digit(hex[i]) * 16 + digit(hex[i + 1]));
  return out;
}
const std::string d = from_hex("C9AFA9D845BA75166B5C215767B1D6934E50C3DB36E89B127B8A622B120F6721");
const std::string x = from_hex("60FED4BA255A9D31C961EB74C6356D68C049B8923B61FA6CE669622E60F29FB6");
const std::string y = from_hex("7903FE1008B8BC99A41AE9E95628BC64F2F1B20C2D7E9F5177A3C294D4462299");

std::string private_jwk(const std::string& dd, const std::string& xx, const std::string& yy, const std::string& more = "") {
  return R"({"kty":"EC","crv":"P-256","d":")" + base64url::encode(dd) + R"(","x":")" + base64url::encode(xx) + R"(","y":")" +
         base64url::encode(yy) + "\"" + more + "}";
}

const Jwa& es256() { return *find_jwa("ES256"); }
const Jwa& hs256() { return *find_jwa("HS256"); }

TEST(Signing, Es256IsTheRfcsDeterministicSignature) {
  auto key = SigningKey::import(es256(), private_jwk(d, x, y));
  ASSERT_TRUE(key.ok()) << key.error();
  EXPECT_EQ(key->sign("sample"), from_hex("EFD48B2AACB6A8FD1140DD9CD45E81D69D2C877B56AAF991C34D0EA84EAF3716"
                                          "F7CB1C942D657C41D436C7A1B6E29F65F3E900DBB9AFF4064DC4AB2F843ACDA8"));
  EXPECT_EQ(key->sign("test"), from_hex("F1ABB023518351CD71D881567B1EA663ED3EFCF6C5132B354F28D3B0B7D38367"
                                        "019F4113742A2B14BD25926B49C649155F267E60D3814B4C0CC84250E46F0083"));
  EXPECT_EQ(key->sign("sample"), key->sign("sample"));
}

TEST(Signing, WhatIsSignedVerifiesAndABitAwayDoesNot) {
  auto key = SigningKey::import(es256(), private_jwk(d, x, y));
  ASSERT_TRUE(key.ok());
  const auto set = parse_jwk_set(R"({"keys":[{"kty":"EC","crv":"P-256","x":")" + base64url::encode(x) + R"(","y":")" +
                                 base64url::encode(y) + R"(","kid":")" + key->kid() + "\"}]}");
  ASSERT_TRUE(set.ok());
  const std::string token = sign_jws(*key, R"({"sub":"alice"})");
  auto parsed = parse_jws(token);
  ASSERT_TRUE(parsed.ok());
  EXPECT_EQ(parsed->typ, "postern+jwt");
  EXPECT_EQ(parsed->kid, key->kid());
  EXPECT_TRUE(VerifiedJws::verify(parsed.value(), set->keys.front()).ok());
  for (std::size_t bit = 0; bit < 64 * 8; ++bit) {
    ParsedJws wrong = parsed.value();
    wrong.signature[bit / 8] = static_cast<char>(wrong.signature[bit / 8] ^ (1 << (bit % 8)));
    EXPECT_FALSE(VerifiedJws::verify(std::move(wrong), set->keys.front()).ok()) << bit;
    if (bit % 64 == 0) bit += 32;  // each verification takes a millisecond
  }
}

TEST(Signing, TheKidIsTheThumbprintUnlessTheKeyHasOne) {
  auto key = SigningKey::import(es256(), private_jwk(d, x, y));
  ASSERT_TRUE(key.ok());
  EXPECT_EQ(key->kid().size(), 43U) << "SHA-256 in base64url";
  auto named = SigningKey::import(es256(), private_jwk(d, x, y, R"(,"kid":"gate-1")"));
  ASSERT_TRUE(named.ok());
  EXPECT_EQ(named->kid(), "gate-1");
}

TEST(Signing, Hs256IsRfc4231s) {
  // RFC 4231 section 4.7: a key longer than a block.
  auto key = SigningKey::import(hs256(), std::string(131, '\xaa'));
  ASSERT_TRUE(key.ok());
  EXPECT_EQ(key->sign("Test Using Larger Than Block-Size Key - Hash Key First"),
            from_hex("60E431591EE0B67F0D8A26AACBF5B77F8E0BC6213728C5140546040F0EE37F54"));
}

TEST(Signing, KeysThatAreNoneAreRefused) {
  const std::string zero(32, '\0');
  const std::string order = from_hex("FFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551");
  std::string other = d;
  other.back() ^= 1;
  for (const std::string& wrong :
       {std::string("secret"), std::string("{}"), private_jwk(zero, x, y), private_jwk(order, x, y), private_jwk(other, x, y),
        private_jwk(d, y, x), private_jwk(d.substr(1), x, y), R"({"kty":"oct","k":"AAAA"})" + std::string()}) {
    auto key = SigningKey::import(es256(), wrong);
    EXPECT_FALSE(key.ok()) << wrong;
  }
  EXPECT_FALSE(SigningKey::import(hs256(), std::string(31, 'k')).ok());
  EXPECT_TRUE(SigningKey::import(hs256(), std::string(32, 'k')).ok());
  EXPECT_FALSE(SigningKey::import(*find_jwa("RS256"), "key").ok());
}

}  // namespace
}  // namespace postern
