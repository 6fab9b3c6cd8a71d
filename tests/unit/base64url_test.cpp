#include "base64url.h"

#include <gtest/gtest.h>

#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace postern::base64url {
namespace {

using namespace std::string_view_literals;

// RFC 4648 section 10 without padding, RFC 7515 appendix C, and both characters that base64 spells otherwise.
const std::vector<std::pair<std::string_view, std::string_view>> examples = {{""sv, ""sv},
                                                                             {"f"sv, "Zg"sv},
                                                                             {"fo"sv, "Zm8"sv},
                                                                             {"foo"sv, "Zm9v"sv},
                                                                             {"foob"sv, "Zm9vYg"sv},
                                                                             {"fooba"sv, "Zm9vYmE"sv},
                                                                             {"foobar"sv, "Zm9vYmFy"sv},
                                                                             {"\x03\xec\xff\xe0\xc1"sv, "A-z_4ME"sv},
                                                                             {"\xff\xff\xff"sv, "____"sv},
                                                                             {"\xfb\xef\xbe"sv, "----"sv},
                                                                             {"\0\0\0"sv, "AAAA"sv}};

TEST(Base64url, ExamplesBothWays) {
  for (const auto& [bytes, text] : examples) {
    EXPECT_EQ(encode(bytes), text);
    EXPECT_EQ(decode(text), std::string(bytes)) << text;
  }
}

TEST(Base64url, EveryTextOfOneToThreeCharactersIsCanonicalOrRefused) {
  std::size_t accepted = 0;
  const auto check = [&](const std::string& text) {
    const auto bytes = decode(text);
    if (!bytes) return;
    ++accepted;
    EXPECT_EQ(encode(*bytes), text);
  };
  for (int a = 0; a < 256; ++a) {
    check({static_cast<char>(a)});
    for (int b = 0; b < 256; ++b) {
      check({static_cast<char>(a), static_cast<char>(b)});
      // The third character: all of them, under two first ones.
      check({'A', static_cast<char>(a), static_cast<char>(b)});
      check({'_', static_cast<char>(a), static_cast<char>(b)});
    }
  }
  EXPECT_EQ(accepted, 64U * 4 + 2 * 64U * 16);  // one byte: 256 texts; two bytes: 64 * 64 * 16 texts
}

TEST(Base64url, EveryByteAtEveryPositionIsRefusedUnlessOfTheAlphabet) {
  constexpr std::string_view alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
  // Over all blocks of sixteen, what is left of one, and their edges.
  for (std::size_t at = 0; at < 40; ++at) {
    for (int byte = 0; byte < 256; ++byte) {
      std::string text(40, 'A');
      text[at] = static_cast<char>(byte);
      EXPECT_EQ(decode(text).has_value(), alphabet.find(static_cast<char>(byte)) != std::string_view::npos);
    }
  }
}

TEST(Base64url, EveryLengthWithEveryCharacterComesBack) {
  for (std::size_t size = 0; size < 100; ++size) {
    for (unsigned first = 0; first < 256; ++first) {
      std::string bytes;
      for (std::size_t i = 0; i < size; ++i) bytes += static_cast<char>(first + 37 * i + i * i);
      const std::string text = encode(bytes);
      const std::vector<char> exact(text.begin(), text.end());  // reading past the end is seen by the sanitizer
      EXPECT_EQ(decode(std::string_view(exact.data(), exact.size())), bytes);
    }
  }
}

// jose accepts spaces and padding, hono padding, tsndr everything (reference: attack list).
TEST(Base64url, LaxFormsAreRefused) {
  for (const std::string_view text :
       {"Zg=="sv, "Zm8="sv, "Zm9v="sv, "="sv, "A"sv, "Zm9vA"sv, "Zm 9v"sv, " Zm9v"sv, "Zm9v "sv, "Zm9v\n"sv, "Zm9\r\n"sv,
        "Zm+v"sv, "Zm/v"sv, "Zm9v\0"sv, "Zh"sv, "Zm9"sv, "Zm8\xc3\xa9"sv, "Zm.v"sv, "Zm?v"sv}) {
    EXPECT_FALSE(decode(text).has_value()) << text;
    std::string out = "kept?";
    EXPECT_FALSE(decode_into(text, out));
    EXPECT_EQ(out, "");
  }
}

TEST(Base64url, LongTextsComeBack) {
  std::string bytes;
  for (unsigned i = 0; i < 10'000; ++i) {
    bytes += static_cast<char>(i * 31 + i / 256);
    if (i % 97 == 0) {
      EXPECT_EQ(decode(encode(bytes)), bytes);
    }
  }
}

TEST(Base64url, TheKeptBufferIsOverwritten) {
  std::string out = "something longer than what comes";
  EXPECT_TRUE(decode_into("Zm9v", out));
  EXPECT_EQ(out, "foo");
}

}  // namespace
}  // namespace postern::base64url
