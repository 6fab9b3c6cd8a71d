// A request's way through the gate, written top to bottom: coroutines that stop where the host must do something.
//
// A Flow runs until it needs a step carried out. The step then goes to the host, its result comes back, and the flow goes on
// after the co_await. Nothing runs in parallel and nothing is resumed from inside another flow: the driver keeps a chain of
// flows and resumes the innermost, so depth costs no machine stack and WebAssembly needs no tail calls.
//
// What never stops is a plain function: a flow costs a frame on the heap, and code to make, resume and destroy it.
#pragma once

#include <coroutine>
#include <cstdint>
#include <cstdlib>
#include <optional>
#include <type_traits>
#include <utility>
#include <variant>

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

// What co_await gives for a step: a reference to what the host gave, which holds until the next question. Does not stop where
// there is no step to carry out (explain).
template <typename T>
class [[nodiscard]] StepResult {
 public:
  StepResult(const FlowDriver& driver, T& result) : driver_(driver), result_(result) {}
  [[nodiscard]] bool await_ready() const noexcept;
  void await_suspend(std::coroutine_handle<>) const noexcept {}
  T& await_resume() const noexcept { return result_; }

 private:
  const FlowDriver& driver_;
  T& result_;
};

// A flow that was started, and the one that waits for it.
struct RunningFlow {
  std::coroutine_handle<> handle;
  RunningFlow* outer = nullptr;
};

// One exchange's flows, the step at which they stopped, and what was given for it.
class FlowDriver {
 public:
  // Runs the innermost flow until it stops at a step (true) or all of them are done (false).
  bool run() {
    stopped_ = false;
    while (innermost_ != nullptr) {
      const RunningFlow* const running = innermost_;
      running->handle.resume();
      if (stopped_) return true;
      // It either ended or has put another flow on top.
      if (innermost_ == running) innermost_ = running->outer;
    }
    return false;
  }
  void push(RunningFlow& flow) {
    flow.outer = innermost_;
    innermost_ = &flow;
  }

  // The step to carry out: the one at which the flows stopped, or the exchange's last. Whoever takes it moves it away.
  [[nodiscard]] StepAction& action() { return action_; }
  [[nodiscard]] bool stopped() const { return stopped_; }
  // The exchange's last step, to be filled in.
  template <typename Kind>
  [[nodiscard]] Kind& end_with() {
    return action_.template emplace<Kind>();
  }
  // A step to stop at, to be filled in before its result is awaited.
  template <typename Kind>
  [[nodiscard]] Kind& stop_at(Awaited awaited) {
    stopped_ = true;
    awaited_ = awaited;
    return action_.template emplace<Kind>();
  }

  // What was given for the last step; nothing before. To be had once it is made with stop_at.
  [[nodiscard]] StepResult<IncomingResponse> reply() {
    reply_ = IncomingResponse{};
    return {*this, reply_};
  }
  [[nodiscard]] StepResult<BodyResult> body(std::size_t bytes_max) {
    stop_at<ReadBody>(Awaited::body).bytes_max = bytes_max;
    return {*this, body_};
  }
  [[nodiscard]] StepResult<HandlerResult> handled() {
    handled_ = HandlerResult{};
    return {*this, handled_};
  }
  // A Fetch or Wait of the gate's own, in the answer of a cache that has nothing better: the flow goes on when the host asks
  // again, and looks for itself.
  template <typename Answer>
  [[nodiscard]] StepResult<StepAction> until_asked_again(Answer& answer) {
    if (auto* fetch = std::get_if<Fetch>(&answer)) {
      stop_at<Fetch>(Awaited::nothing) = std::move(*fetch);
    } else {
      stop_at<Wait>(Awaited::nothing) = std::get<Wait>(answer);
    }
    return {*this, action_};
  }
#ifdef POSTERN_WASM
  [[nodiscard]] StepResult<SignatureVerdict> verdict() {
    verdict_ = SignatureVerdict::unable;
    return {*this, verdict_};
  }
#endif

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
#endif

  std::uint64_t object_fetch_id = 0;  // the last of this exchange's own (GateState::begin_fetch); 0: none yet

 private:
  RunningFlow* innermost_ = nullptr;
  bool stopped_ = false;
  Awaited awaited_ = Awaited::nothing;
  StepAction action_;
  Time now_;
  IncomingResponse reply_;
  BodyResult body_;
  HandlerResult handled_;
#ifdef POSTERN_WASM
  SignatureVerdict verdict_ = SignatureVerdict::unable;
#endif
};

template <typename T>
bool StepResult<T>::await_ready() const noexcept {
  return !driver_.stopped();
}

// A coroutine that gives a T. Does nothing until it is awaited (or started).
template <typename T>
class [[nodiscard]] Flow {
 public:
  struct promise_type;
  using Handle = std::coroutine_handle<promise_type>;

  struct promise_type {
    FlowDriver* driver = nullptr;
    RunningFlow running;
    std::optional<T> value;

    Flow get_return_object() { return Flow(Handle::from_promise(*this)); }
    std::suspend_always initial_suspend() noexcept { return {}; }
    std::suspend_always final_suspend() noexcept { return {}; }
    template <typename U = T>
    void return_value(U&& result) {
      // An optional refusal would be true where there is one.
      static_assert(!std::is_same_v<T, bool> || std::is_same_v<std::remove_cvref_t<U>, bool>, "a flow of bool returns bools");
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
    StepResult<U> await_transform(StepResult<U> step) {
      return step;
    }
  };

  explicit Flow(Handle handle) : handle_(handle) {}
  Flow(Flow&& other) noexcept : handle_(std::exchange(other.handle_, {})) {}
  Flow& operator=(Flow&&) = delete;
  ~Flow() {
    if (handle_) handle_.destroy();
  }

  void start(FlowDriver& driver) {
    promise_type& promise = handle_.promise();
    promise.driver = &driver;
    promise.running.handle = handle_;
    driver.push(promise.running);
  }
  [[nodiscard]] T& result() { return *handle_.promise().value; }

 private:
  Handle handle_;
};

}  // namespace postern
