// The request path of the wasm build: plain exports over numbers and one input buffer (layout: abi.h).
//
// No logic lives here: an export finds the object a handle names, turns bytes into the core's types,
// calls it and writes what comes out. Input that does not fit the layout is a bug of the host's and is
// refused whole.
#include <emscripten/emscripten.h>

#include <array>
#include <cstdint>
#include <cstring>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "abi.h"
#include "instance.h"
#include "message.h"
#include "postern/gate.h"

namespace postern {

Instance& instance() {
  static Instance the_instance;
  return the_instance;
}

Writer& writer() {
  static Writer the_writer;
  return the_writer;
}

void trim_input() {
  std::string& input = instance().input;
  if (input.capacity() > abi::input_bytes_kept) {
    input.clear();
    input.shrink_to_fit();
  }
}

std::uint32_t answer(abi::Answer answer) {
  trim_input();
  writer().finish();
  return static_cast<std::uint32_t>(answer);
}

namespace {

using abi::Outcome;

std::optional<IncomingResponse> read_response(Reader reader) {
  IncomingResponse response;
  response.status = static_cast<int>(reader.word());
  const std::uint32_t flags = reader.word();
  response.timed_out = (flags & abi::reply_timed_out) != 0;
  response.body_over_limit = (flags & abi::reply_body_over_limit) != 0;
  const std::uint32_t count = reader.header_count();
  response.headers.reserve(count);
  for (std::uint32_t i = 0; i < count; ++i) {
    const std::string_view name = reader.text();
    const std::string_view value = reader.text();
    response.headers.push_back({std::string(name), std::string(value)});
  }
  if (!reader.whole() || response.status > 999) return std::nullopt;
  response.body = reader.body();
  return response;
}

abi::FetchPurpose wire(FetchPurpose purpose) {
  switch (purpose) {
    case FetchPurpose::keys:
      return abi::FetchPurpose::keys;
    case FetchPurpose::discovery:
      return abi::FetchPurpose::discovery;
    case FetchPurpose::upstream_object:
      return abi::FetchPurpose::upstream_object;
    case FetchPurpose::introspection:
      return abi::FetchPurpose::introspection;
  }
  __builtin_trap();
}

void write_fetch(Writer& out, const Fetch& fetch) {
  out.u64(fetch.fetch_id);
  out.word(wire(fetch.purpose));
  out.word(fetch.bytes_max);
  out.f64(fetch.time_limit_ms);
  out.request(fetch.request);
  // What the gate asks by itself is JSON or a form of its own making, so it is text.
  out.text(fetch.request.body);
}

// One overload for each kind of step: a kind the host does not know cannot be added without one.
struct StepWriter {
  Writer& out;
  std::uint64_t step_id;

  void kind(abi::StepKind kind) const {
    out.word(kind);
    out.u64(step_id);
  }
  void operator()(ReadBody& step) const {
    kind(abi::StepKind::read_body);
    out.word(step.bytes_max);
  }
  void operator()(const Fetch& step) const {
    kind(abi::StepKind::fetch);
    write_fetch(out, step);
  }
  void operator()(Wait& step) const {
    kind(abi::StepKind::wait);
    out.u64(step.fetch_id);
    out.f64(step.until.unix_ms);
  }
  void operator()(Forward& step) const {
    kind(abi::StepKind::forward);
    out.word(step.reply == ReplyMode::pass ? abi::ReplyMode::pass : abi::ReplyMode::inspect);
    out.word(step.bytes_max);
    out.f64(step.time_limit_ms);
    out.request(step.request);
    out.body(std::move(step.request.body));
    out.texts(step.drop_reply_headers);
    out.headers(step.add_reply_headers);
    out.text(step.credential);
  }
  void operator()(Respond& step) const {
    kind(abi::StepKind::respond);
    out.word(static_cast<std::uint32_t>(step.status));
    out.word(step.error ? static_cast<std::uint32_t>(*step.error) : abi::error_none);
    out.headers(step.headers);
    out.body(std::move(step.body));
  }
  void operator()(VerifySignature& step) const {
    kind(abi::StepKind::verify_signature);
    out.u64(step.key_handle);
    out.text(step.alg);
    out.body(std::move(step.input));
    out.body(std::move(step.signature));
  }
  void operator()(CallHandler& step) const {
    kind(abi::StepKind::call_handler);
    out.word(static_cast<std::uint32_t>(step.kind == CallHandler::Kind::on));
    out.text(step.resource);
    out.text(step.action);
    out.text(step.user);
    out.text(step.value);
  }
  void operator()(Authenticated& step) const {
    kind(abi::StepKind::authenticated);
    out.word(step.cache_slot);
    out.word(step.cache_serial);
    const User& user = *step.user;
    out.text(user.identity);
    out.text(user.display_name);
    out.texts(user.permissions);
    out.text(user.claims_json);
    out.text(user.fields_json);
  }
};

Time time_of(double unix_ms) {
  // A clock that says NaN or nonsense must not become a time at which everything is valid.
  if (!(unix_ms >= 0 && unix_ms <= 9.0e15)) __builtin_trap();
  return Time{static_cast<std::int64_t>(unix_ms)};
}

std::uint32_t result(Outcome outcome) {
  trim_input();
  return static_cast<std::uint32_t>(outcome);
}

std::uint32_t refuse(Error error) {
  writer().word(abi::StepKind::not_opened);
  writer().word(error);
  writer().finish();
  return 0;
}

// Whether nothing comes after it.
bool is_last(const Step& step) {
  const auto* const forward = std::get_if<Forward>(&step.action);
  return (forward != nullptr && forward->reply == ReplyMode::pass) || std::holds_alternative<Respond>(step.action) ||
         std::holds_alternative<Authenticated>(step.action);
}

}  // namespace

extern "C" {

EMSCRIPTEN_KEEPALIVE std::uint32_t postern_abi_version() { return abi::version; }

EMSCRIPTEN_KEEPALIVE std::uint32_t postern_ledger() { return writer().ledger(); }

// The address of room for a message of at most `bytes`; 0 when that is more than any message needs.
EMSCRIPTEN_KEEPALIVE std::uint32_t postern_input(std::uint32_t bytes) {
  if (bytes > abi::input_bytes_max) return 0;
  std::string& input = instance().input;
  if (input.size() < bytes) input.resize(bytes);
  return static_cast<std::uint32_t>(reinterpret_cast<std::uintptr_t>(input.data()));
}

// Input: RequestHead. Output: the first Step, and the exchange that it belongs to; 0: there is none, since that was its last step
// as well or it was not opened.
EMSCRIPTEN_KEEPALIVE std::uint32_t postern_open(std::uint32_t gate_handle, std::uint32_t purpose, double now, std::uint32_t words,
                                                std::uint32_t text_bytes) {
  writer().begin();
  Instance& here = instance();
  Gate* gate = here.gates.find(gate_handle);
  if (gate == nullptr || purpose > static_cast<std::uint32_t>(abi::Purpose::authenticate)) {
    return refuse(Error::host_failed);
  }
  if (here.exchanges.full()) return refuse(Error::gate_overloaded);

  Reader reader(here.input, words, text_bytes, 0);
  RequestHead head;
  head.method = reader.text();
  head.target = reader.text();
  here.headers.resize(reader.header_count());
  for (HeaderView& header : here.headers) {
    header.name = reader.text();
    header.value = reader.text();
  }
  if (!reader.whole()) return refuse(Error::host_failed);
  head.headers = here.headers.data();
  head.headers_size = here.headers.size();

  const bool authenticates = purpose == static_cast<std::uint32_t>(abi::Purpose::authenticate);
  std::unique_ptr<Exchange> exchange = gate->open(head, time_of(now), authenticates ? Purpose::authenticate : Purpose::handle);
  trim_input();
  Step step = exchange->next(time_of(now));
  std::visit(StepWriter{writer(), step.step_id}, step.action);
  writer().finish();
  return is_last(step) ? 0 : here.exchanges.add(std::make_unique<OpenExchange>(OpenExchange{gate_handle, std::move(exchange)}));
}

// Gate::seed; the key's bytes as two little-endian numbers. Returns 1 where there is a cache now, else 0: for the handle of a
// closed gate too.
EMSCRIPTEN_KEEPALIVE std::uint32_t postern_seed(std::uint32_t gate_handle, std::uint64_t low, std::uint64_t high) {
  Gate* gate = instance().gates.find(gate_handle);
  if (gate == nullptr) return 0;
  std::array<std::uint8_t, 16> random{};
  std::memcpy(random.data(), &low, 8);
  std::memcpy(random.data() + 8, &high, 8);
  return gate->seed(random) ? 1 : 0;
}

// Input: the bytes of an Authorization header, and nothing else. Gate::recall: the slot and one, with the serial in the
// ledger's last word; 0: open an exchange.
EMSCRIPTEN_KEEPALIVE std::uint32_t postern_recall(std::uint32_t gate_handle, std::uint32_t bytes, double now) {
  Instance& here = instance();
  Gate* gate = here.gates.find(gate_handle);
  if (gate == nullptr || bytes > here.input.size()) return 0;
  const auto recalled = gate->recall(std::string_view(here.input).substr(0, bytes), time_of(now));
  if (!recalled) return 0;
  writer().recalled(recalled->serial);
  return recalled->slot + 1;
}

// Output: the Step to carry out after the one that was carried out. 0: the handle is unknown.
EMSCRIPTEN_KEEPALIVE std::uint32_t postern_next(std::uint32_t exchange, double now) {
  writer().begin();
  OpenExchange* open = instance().exchanges.find(exchange);
  if (open == nullptr) return 0;
  Step step = open->exchange->next(time_of(now));
  std::visit(StepWriter{writer(), step.step_id}, step.action);
  return writer().finish();
}

// Input: the client's body, and nothing else. `state` is an abi::BodyState.
EMSCRIPTEN_KEEPALIVE std::uint32_t postern_give_body(std::uint32_t exchange, std::uint64_t step_id, std::uint32_t state,
                                                     std::uint32_t body_bytes, double now) {
  Instance& here = instance();
  OpenExchange* open = here.exchanges.find(exchange);
  if (open == nullptr) return result(Outcome::handle_unknown);
  if (body_bytes > here.input.size()) return result(Outcome::input_malformed);
  BodyResult body;
  switch (state) {
    case static_cast<std::uint32_t>(abi::BodyState::whole):
      // The buffer itself becomes the body: the largest thing a client sends is not held twice.
      here.input.resize(body_bytes);
      body.bytes = std::move(here.input);
      here.input = std::string();
      break;
    case static_cast<std::uint32_t>(abi::BodyState::over_limit):
      body.state = BodyResult::State::over_limit;
      break;
    case static_cast<std::uint32_t>(abi::BodyState::failed):
      body.state = BodyResult::State::failed;
      break;
    default:
      return result(Outcome::input_malformed);
  }
  open->exchange->give(step_id, std::move(body), time_of(now));
  return result(Outcome::done);
}

// Input: IncomingResponse, the upstream's reply to an inspected Forward.
EMSCRIPTEN_KEEPALIVE std::uint32_t postern_give_reply(std::uint32_t exchange, std::uint64_t step_id, std::uint32_t words,
                                                      std::uint32_t text_bytes, std::uint32_t body_bytes, double now) {
  Instance& here = instance();
  OpenExchange* open = here.exchanges.find(exchange);
  if (open == nullptr) return result(Outcome::handle_unknown);
  std::optional<IncomingResponse> reply = read_response(Reader(here.input, words, text_bytes, body_bytes));
  if (!reply) return result(Outcome::input_malformed);
  open->exchange->give(step_id, *std::move(reply), time_of(now));
  return result(Outcome::done);
}

// The host's verifier has spoken. `verdict` is an abi::SignatureVerdict; any other number is `unable`.
EMSCRIPTEN_KEEPALIVE std::uint32_t postern_give_verdict(std::uint32_t exchange, std::uint64_t step_id, std::uint32_t verdict,
                                                        double now) {
  OpenExchange* open = instance().exchanges.find(exchange);
  if (open == nullptr) return result(Outcome::handle_unknown);
  const SignatureVerdict said = verdict == static_cast<std::uint32_t>(abi::SignatureVerdict::valid) ? SignatureVerdict::valid
                                : verdict == static_cast<std::uint32_t>(abi::SignatureVerdict::invalid)
                                    ? SignatureVerdict::invalid
                                    : SignatureVerdict::unable;
  open->exchange->give(step_id, said, time_of(now));
  return result(Outcome::done);
}

// Input: HandlerResult. A state that is none is a failure.
EMSCRIPTEN_KEEPALIVE std::uint32_t postern_give_handled(std::uint32_t exchange, std::uint64_t step_id, std::uint32_t words,
                                                        std::uint32_t text_bytes, double now) {
  Instance& here = instance();
  OpenExchange* open = here.exchanges.find(exchange);
  if (open == nullptr) return result(Outcome::handle_unknown);
  Reader reader(here.input, words, text_bytes, 0);
  HandlerResult handled;
  switch (reader.word()) {
    case static_cast<std::uint32_t>(abi::HandlerState::answered):
      handled.state = HandlerResult::State::answered;
      break;
    case static_cast<std::uint32_t>(abi::HandlerState::refused):
      handled.state = HandlerResult::State::refused;
      break;
    case static_cast<std::uint32_t>(abi::HandlerState::timed_out):
      handled.state = HandlerResult::State::timed_out;
      break;
    default:
      break;
  }
  handled.status = static_cast<int>(reader.word());
  handled.answer = reader.text();
  handled.changes = reader.text();
  handled.message = reader.text();
  for (std::uint32_t count = reader.header_count(); count > 0; --count) {
    const std::string_view name = reader.text();
    const std::string_view value = reader.text();
    handled.headers.push_back({std::string(name), std::string(value)});
  }
  if (!reader.whole()) return result(Outcome::input_malformed);
  open->exchange->give(step_id, std::move(handled), time_of(now));
  return result(Outcome::done);
}

// The host could not carry out the step: the exchange ends in 500.
EMSCRIPTEN_KEEPALIVE std::uint32_t postern_fail(std::uint32_t exchange, std::uint64_t step_id) {
  OpenExchange* open = instance().exchanges.find(exchange);
  if (open == nullptr) return result(Outcome::handle_unknown);
  open->exchange->fail(step_id);
  return result(Outcome::done);
}

// Input: IncomingResponse, the answer to a Fetch of this gate's.
EMSCRIPTEN_KEEPALIVE std::uint32_t postern_give_fetch(std::uint32_t gate_handle, std::uint64_t fetch_id, std::uint32_t words,
                                                      std::uint32_t text_bytes, std::uint32_t body_bytes, double now) {
  Instance& here = instance();
  Gate* gate = here.gates.find(gate_handle);
  if (gate == nullptr) return result(Outcome::handle_unknown);
  std::optional<IncomingResponse> response = read_response(Reader(here.input, words, text_bytes, body_bytes));
  if (!response) return result(Outcome::input_malformed);
  gate->give(fetch_id, *std::move(response), time_of(now));
  return result(Outcome::done);
}

// Output: Due. 0: the handle is unknown.
EMSCRIPTEN_KEEPALIVE std::uint32_t postern_due(std::uint32_t gate_handle, double now) {
  writer().begin();
  Gate* gate = instance().gates.find(gate_handle);
  if (gate == nullptr) return 0;
  Due due = gate->due(time_of(now));
  writer().f64(due.next_at.unix_ms);
  writer().word(due.fetches.size());
  for (const Fetch& fetch : due.fetches) write_fetch(writer(), fetch);
  return writer().finish();
}

// The client left, or the exchange is over. Unknown handles are ignored.
EMSCRIPTEN_KEEPALIVE void postern_close(std::uint32_t exchange) { instance().exchanges.remove(exchange); }

}  // extern "C"

}  // namespace postern
