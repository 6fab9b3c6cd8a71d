#include "handler.h"

#include "text.h"

namespace postern {

Refusal handler_fault(std::string_view what) {
  return Refusal{Error::handler_failed, std::string(sentence(Error::handler_failed)) + ": " + std::string(what)};
}

std::optional<Refusal> handler_refusal(const HandlerResult& result, Error denied) {
  switch (result.state) {
    case HandlerResult::State::answered:
      return std::nullopt;
    case HandlerResult::State::timed_out:
      return Refusal{Error::handler_timeout};
    case HandlerResult::State::refused: {
      if (result.status != 0 && (result.status < 400 || result.status > 599)) return handler_fault("its status is no refusal");
      Refusal refusal{denied, result.message};
      refusal.details().status = result.status;
      for (const Header& header : result.headers) {
        if (header.name.empty() || has_control(header.name) || has_control(header.value))
          return handler_fault("a header that it gives is none");
        refusal.details().headers.push_back(header);
      }
      return refusal;
    }
    case HandlerResult::State::failed:
      break;
  }
  return Refusal{Error::handler_failed};
}

Result<User, Refusal> handler_user(const HandlerResult& result, std::string_view identity_prefix) {
  if (auto refusal = handler_refusal(result, Error::credential_refused)) return *std::move(refusal);
  const auto parsed = json::parse(result.answer);
  if (!parsed) return handler_fault("it is no user");
  auto user = parse_user(parsed.value());
  if (!user) return handler_fault(user.error().what);
  User& found = user.value();
  // What the agent is told of the user holds the fields beside these.
  const auto fields = json::parse(found.fields_json);
  for (const std::string_view name : {"identity", "display_name", "permissions", "is_authenticated"}) {
    if (!fields || fields->find(name) != nullptr) return handler_fault("a field has a name that is LangGraph's own");
  }
  // As with every source the display name stays without the prefix.
  found.credential.subject = found.identity;
  found.identity = std::string(identity_prefix) + found.identity;
  return std::move(user).value();
}

}  // namespace postern
