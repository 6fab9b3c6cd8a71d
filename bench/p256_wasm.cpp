// The own P-256 as a wasm module of its own, for p256.mjs: a key, then a SHA-256 and a verification a call.
#include <emscripten/emscripten.h>

#include <cstdint>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "crypto.h"
#include "p256.h"

namespace {

using postern::P256Answer;
using postern::P256Tables;
using postern::TableSize;
using postern::TableBudget;

struct Bench {
  std::shared_ptr<TableBudget> tables = std::make_shared<TableBudget>();
  std::shared_ptr<TableBudget> no_tables = std::make_shared<TableBudget>(0);
  std::vector<P256Tables> keys;
  std::vector<char> buffer = std::vector<char>(4096);
};

Bench& bench() {
  static Bench instance;
  return instance;
}

}  // namespace

extern "C" {

// Where the caller writes: at 0 a point or a signature (64 bytes), at 64 the signed input.
EMSCRIPTEN_KEEPALIVE char* bench_buffer() { return bench().buffer.data(); }

// size: 0 no table, 1 small, 2 large. The key's number, or -1.
EMSCRIPTEN_KEEPALIVE int bench_key(int size) {
  Bench& b = bench();
  const std::string_view point(b.buffer.data(), 64);
  auto made = P256Tables::make(size == 0 ? b.no_tables : b.tables, point.substr(0, 32), point.substr(32));
  if (!made.has_value()) return -1;
  if (size != 0) made->request(size == 1 ? TableSize::small : TableSize::large);
  b.keys.push_back(std::move(*made));
  return static_cast<int>(b.keys.size()) - 1;
}

EMSCRIPTEN_KEEPALIVE int bench_build_step() { return bench().tables->build_step() ? 1 : 0; }

// 0 accepted, 1 refused, 2 undecided.
EMSCRIPTEN_KEEPALIVE int bench_verify(int key, int input_size) {
  const Bench& b = bench();
  const auto hash = postern::crypto::sha256(std::string_view(b.buffer.data() + 64, static_cast<std::size_t>(input_size)));
  return static_cast<int>(b.keys[static_cast<std::size_t>(key)].verify(hash, std::string_view(b.buffer.data(), 64)));
}

}  // extern "C"
