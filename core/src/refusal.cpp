#include "refusal.h"

#include <algorithm>
#include <utility>

namespace postern {

Refusal::Refusal(Error error) : error_(error) {}
Refusal::Refusal(const Reason& reason) : Refusal(reason.error, std::string(reason.text)) {}
Refusal::Refusal(Error error, std::string text) : error_(error) { details().text = std::move(text); }
Refusal::Refusal(const Refusal& other)
    : error_(other.error_), details_(other.details_ ? std::make_unique<Details>(*other.details_) : nullptr) {}
Refusal::Refusal(Refusal&& other) noexcept = default;
Refusal& Refusal::operator=(Refusal other) noexcept {
  error_ = other.error_;
  details_ = std::move(other.details_);
  return *this;
}
Refusal::~Refusal() = default;

const Refusal::Details& Refusal::details() const {
  static const Details none;
  return details_ ? *details_ : none;
}

Refusal::Details& Refusal::details() {
  if (!details_) details_ = std::make_unique<Details>();
  return *details_;
}

std::string printable_name(std::string_view text) {
  const bool plain = !text.empty() && text.size() <= 64 && std::all_of(text.begin(), text.end(), [](char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || c == '-' || c == '.' ||
           c == ':' || c == '*';
  });
  return plain ? "\"" + std::string(text) + "\"" : "(unprintable)";
}

}  // namespace postern
