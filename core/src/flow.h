// A request's way through the gate, written top to bottom: coroutines that stop where the host must do something.
//
// A Flow runs until it needs a step carried out. The step then goes to the host, its result comes back, and the flow goes on
// after the co_await. Nothing runs in parallel and nothing is resumed from inside another flow: the driver keeps a stack of
// flows and resumes the innermost, so depth costs no machine stack and WebAssembly needs no tail calls.
#pragma once

#include <coroutine>
#include <cstdint>
#include <cstdlib>
#include <optional>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

#include "postern/step.h"

namespace postern {

using StepAction = decltype(Step::action);

// What has to be given before a flow goes on.
enum class Awaited : std::uint8_t {
  nothing,  // the flow has not stopped, or may be asked again at any time (a Fetch or Wait of the gate's own)
  body,     // the client's body
  reply,    // the upstream's reply to an inspected Forward
  object,   // the answer to a Fetch of this exchange's own
  handled,  // a function of the host program
  verdict,  // the host's on a signature (wasm only)
};

class FlowDriver;

// A step to stop at: co_await gives what the host gave for it. (No aggregates here: GCC 12 destroys a braced temporary of a
// co_await twice.)
template <typename T>
class StepResult {
 public:
  StepResult(FlowDriver* driver, StepAction action, Awaited awaited)
      : driver_(driver), action_(std::move(action)), awaited_(awaited) {}
  [[nodiscard]] bool await_ready() const noexcept { return false; }
  void await_suspend(std::coroutine_handle<>);
  T await_resume();

 private:
  FlowDriver* driver_;
  StepAction action_;
  Awaited awaited_;
};

// One exchange's flows, and the step at which they stopped.
class FlowDriver {
 public:
  FlowDriver() { stack_.reserve(8); }  // as deep as flows go, nearly always

  // Runs the innermost flow until it stops at a step (true: take_action has it) or all of them are done (false).
  bool run() {
    action_.reset();
    while (!stack_.empty()) {
      const std::coroutine_handle<> innermost = stack_.back();
      innermost.resume();
      if (action_) return true;
      // It either ended or has put another flow on top.
      if (stack_.back() == innermost) stack_.pop_back();
    }
    return false;
  }
  void push(std::coroutine_handle<> flow) { stack_.push_back(flow); }

  // The steps a flow may stop at.
  [[nodiscard]] StepResult<BodyResult> body(std::size_t bytes_max) {
    return StepResult<BodyResult>(this, ReadBody{bytes_max}, Awaited::body);
  }
  [[nodiscard]] StepResult<IncomingResponse> inspected(Forward forward) {
    return StepResult<IncomingResponse>(this, std::move(forward), Awaited::reply);
  }
  [[nodiscard]] StepResult<IncomingResponse> object(Fetch fetch) {
    return StepResult<IncomingResponse>(this, std::move(fetch), Awaited::object);
  }
  [[nodiscard]] StepResult<HandlerResult> handled(CallHandler call) {
    return StepResult<HandlerResult>(this, std::move(call), Awaited::handled);
  }
  // A Fetch or Wait of the gate's own, in the answer of a cache that has nothing better: the flow goes on when the host asks
  // again, and looks for itself.
  template <typename Answer>
  [[nodiscard]] StepResult<std::monostate> until_asked_again(Answer answer) {
    StepAction action;
    if (auto* fetch = std::get_if<Fetch>(&answer)) {
      action = std::move(*fetch);
    } else {
      action = std::get<Wait>(answer);
    }
    return StepResult<std::monostate>(this, std::move(action), Awaited::nothing);
  }

#ifdef POSTERN_WASM
  [[nodiscard]] StepResult<SignatureVerdict> verdict_on(VerifySignature question) {
    return StepResult<SignatureVerdict>(this, std::move(question), Awaited::verdict);
  }
#endif

  void stop_at(StepAction&& action, Awaited awaited) {
    action_.emplace(std::move(action));
    awaited_ = awaited;
  }
  // Where the step stands until `run` is called again; whoever takes it moves it away.
  [[nodiscard]] StepAction& action() { return *action_; }

  // The time at which the host asked; a flow that was stopped for long reads the new one.
  [[nodiscard]] Time now() const { return now_; }
  void set_now(Time now) { now_ = now; }

  [[nodiscard]] Awaited awaited() const { return awaited_; }
  void give(IncomingResponse reply) {
    awaited_ = Awaited::nothing;
    reply_ = std::move(reply);
  }
  void give(BodyResult body) {
    awaited_ = Awaited::nothing;
    body_ = std::move(body);
  }
  void give(HandlerResult result) {
    awaited_ = Awaited::nothing;
    handled_ = std::move(result);
  }
#ifdef POSTERN_WASM
  void give(SignatureVerdict verdict) {
    awaited_ = Awaited::nothing;
    verdict_ = verdict;
  }
  // Used once: what is asked about next has no verdict yet.
  [[nodiscard]] SignatureVerdict take_verdict() { return std::exchange(verdict_, SignatureVerdict::unable); }
#endif
  // Used once: the next function has answered nothing yet.
  [[nodiscard]] HandlerResult take_handled() { return std::exchange(handled_, HandlerResult{}); }
  [[nodiscard]] IncomingResponse take_reply() { return std::move(reply_); }
  [[nodiscard]] BodyResult take_body() { return std::move(body_); }

  std::uint64_t object_fetch_id = 0;  // the last of this exchange's own (GateState::begin_fetch); 0: none yet

 private:
  std::vector<std::coroutine_handle<>> stack_;
  std::optional<StepAction> action_;
  Awaited awaited_ = Awaited::nothing;
  Time now_;
  IncomingResponse reply_;
  BodyResult body_;
  HandlerResult handled_;
#ifdef POSTERN_WASM
  SignatureVerdict verdict_ = SignatureVerdict::unable;
#endif
};

template <typename T>
void StepResult<T>::await_suspend(std::coroutine_handle<>) {
  driver_->stop_at(std::move(action_), awaited_);
}
template <typename T>
T StepResult<T>::await_resume() {
  if constexpr (std::is_same_v<T, IncomingResponse>) {
    return driver_->take_reply();
  } else if constexpr (std::is_same_v<T, BodyResult>) {
    return driver_->take_body();
  } else if constexpr (std::is_same_v<T, HandlerResult>) {
    return driver_->take_handled();
#ifdef POSTERN_WASM
  } else if constexpr (std::is_same_v<T, SignatureVerdict>) {
    return driver_->take_verdict();
#endif
  } else {
    return T{};
  }
}

// A coroutine that gives a T. Does nothing until it is awaited (or pushed on the driver).
template <typename T>
class [[nodiscard]] Flow {
 public:
  struct promise_type;
  using Handle = std::coroutine_handle<promise_type>;

  struct promise_type {
    FlowDriver* driver = nullptr;
    std::optional<T> value;

    Flow get_return_object() { return Flow(Handle::from_promise(*this)); }
    std::suspend_always initial_suspend() noexcept { return {}; }
    std::suspend_always final_suspend() noexcept { return {}; }
    // A call of its own, with what stands behind co_return as it is: there are hundreds of those.
    template <typename U = T>
    [[gnu::noinline]] void return_value(U&& result) {
      value.emplace(std::forward<U>(result));
    }
    void unhandled_exception() { std::abort(); }  // the core is built without exceptions

    template <typename U>
    class Inner {
     public:
      Inner(Flow<U> flow, FlowDriver* outer) : flow_(std::move(flow)), driver_(outer) {}
      [[nodiscard]] bool await_ready() const noexcept { return false; }
      void await_suspend(std::coroutine_handle<>) { flow_.start(*driver_); }
      U await_resume() { return std::move(flow_.result()); }

     private:
      Flow<U> flow_;
      FlowDriver* driver_;
    };
    template <typename U>
    Inner<U> await_transform(Flow<U>&& flow) {
      return Inner<U>(std::move(flow), driver);
    }
    template <typename U>
    StepResult<U>&& await_transform(StepResult<U>&& step) {
      return std::move(step);
    }
  };

  explicit Flow(Handle handle) : handle_(handle) {}
  Flow(Flow&& other) noexcept : handle_(std::exchange(other.handle_, {})) {}
  Flow& operator=(Flow&&) = delete;
  ~Flow() {
    if (handle_) handle_.destroy();
  }

  void start(FlowDriver& driver) {
    handle_.promise().driver = &driver;
    driver.push(handle_);
  }
  [[nodiscard]] T& result() { return *handle_.promise().value; }

 private:
  Handle handle_;
};

}  // namespace postern
