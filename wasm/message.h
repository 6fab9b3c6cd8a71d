// Messages between the instance and its host: the layout of abi.h, written and read.
#pragma once

#include <bit>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "abi.h"
#include "postern/request.h"

namespace postern {

// Writes a message. Words and text are kept between calls for their capacity; a body is moved in.
class Writer {
 public:
  void begin() {
    words_.clear();
    text_.clear();
    body_.clear();
    if (body_.capacity() > abi::input_bytes_kept) body_.shrink_to_fit();
  }
  void word(std::uint32_t value) { words_.push_back(value); }
  void word(std::size_t value) { words_.push_back(static_cast<std::uint32_t>(value)); }
  template <typename E>
  requires std::is_enum_v<E>
  void word(E value) { words_.push_back(static_cast<std::uint32_t>(value)); }
  void u64(std::uint64_t value) {
    words_.push_back(static_cast<std::uint32_t>(value));
    words_.push_back(static_cast<std::uint32_t>(value >> 32));
  }
  // Exact for every time and limit there is: 2^53 ms is 285,000 years.
  void f64(std::int64_t value) { u64(std::bit_cast<std::uint64_t>(static_cast<double>(value))); }
  void text(std::string_view value) {
    word(value.size());
    text_ += value;
  }
  void texts(const std::vector<std::string>& values) {
    word(values.size());
    for (const std::string& value : values) text(value);
  }
  void headers(const std::vector<Header>& headers) {
    word(headers.size());
    for (const Header& header : headers) {
      text(header.name);
      text(header.value);
    }
  }
  void request(const OutgoingRequest& request) {
    text(request.method);
    text(request.url);
    headers(request.headers);
  }
  void body(std::string&& bytes) {
    word(bytes.size());
    if (body_.empty()) {
      body_ = std::move(bytes);
    } else {
      body_ += bytes;
    }
  }

  void recalled(std::uint32_t serial) { ledger_[6] = serial; }
  std::uint32_t ledger() {
    ledger_[0] = address(words_.data());
    ledger_[1] = static_cast<std::uint32_t>(words_.size());
    ledger_[2] = address(text_.data());
    ledger_[3] = static_cast<std::uint32_t>(text_.size());
    ledger_[4] = address(body_.data());
    ledger_[5] = static_cast<std::uint32_t>(body_.size());
    return address(ledger_);
  }
  std::uint32_t finish() {
    ledger();
    return 1;
  }

 private:
  static std::uint32_t address(const void* pointer) {
    return static_cast<std::uint32_t>(reinterpret_cast<std::uintptr_t>(pointer));
  }
  std::vector<std::uint32_t> words_;
  std::string text_;
  std::string body_;
  std::uint32_t ledger_[7] = {};
};

// Made on first use: nothing runs when the module is instantiated.
[[nodiscard]] Writer& writer();

// Reads a message the host wrote into the input buffer. After a fault every read yields nothing and
// `whole` is false; nothing is used before `whole` was asked.
class Reader {
 public:
  Reader(const std::string& input, std::uint32_t words, std::uint32_t text_bytes, std::uint32_t body_bytes) {
    const std::uint64_t needed = std::uint64_t{words} * 4 + text_bytes + body_bytes;
    if (needed > input.size()) {
      fault_ = true;
      return;
    }
    words_ = {input.data(), std::size_t{words} * 4};
    text_ = {input.data() + words_.size(), text_bytes};
    body_ = {text_.data() + text_bytes, body_bytes};
  }
  std::uint32_t word() {
    if (words_.size() < 4) {
      fault_ = true;
      return 0;
    }
    std::uint32_t value = 0;
    std::memcpy(&value, words_.data(), 4);
    words_.remove_prefix(4);
    return value;
  }
  std::string_view text() {
    const std::uint32_t bytes = word();
    if (bytes > text_.size()) {
      fault_ = true;
      return {};
    }
    const std::string_view value = text_.substr(0, bytes);
    text_.remove_prefix(bytes);
    return value;
  }
  // Two words for each: a count that the words cannot hold is a fault before it is an allocation.
  std::uint32_t header_count() {
    const std::uint32_t count = word();
    if (count <= words_.size() / 8) return count;
    fault_ = true;
    return 0;
  }
  // Texts; empty after a fault.
  std::vector<std::string_view> texts() {
    const std::uint32_t count = word();
    std::vector<std::string_view> values;
    // A word for each: as above.
    if (count > words_.size() / 4) fault_ = true;
    for (std::uint32_t i = 0; i < count && !fault_; ++i) values.push_back(text());
    return values;
  }
  [[nodiscard]] std::string_view body() const { return body_; }
  // Every word and every byte of text was read, and none was missing.
  [[nodiscard]] bool whole() const { return !fault_ && words_.empty() && text_.empty(); }

 private:
  std::string_view words_;
  std::string_view text_;
  std::string_view body_;
  bool fault_ = false;
};

}  // namespace postern
