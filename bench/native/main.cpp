// The agent natively: the orders of agents/agent.mjs as lines of words, answers as lines of JSON.
//
//   load NAME KIND FILE        FILE: lines "alg A", "config JSON", "env NAME VALUE", "key KID PEM" (its line ends as \n),
//                              "token KEY GOOD SUBJECT TEXT"
//   prepare NAME PEER I,I,...  the numbers of tokens
//   run                        {"us":...}
//   check                      {"goodRefused":..,"wrongAccepted":..,"mixedUp":..}
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iostream>
#include <map>
#include <sstream>

#include "contestant.h"

namespace bench {

void fail(const std::string& where, const std::string& what) {
  std::cerr << "postern_bench: " << where << ": " << what << "\n";
  std::exit(1);
}

namespace {

struct Loaded {
  Suite suite;
  Contestants contestants;
};

std::string unescaped(std::string text) {
  for (std::size_t at = 0; (at = text.find("\\n", at)) != std::string::npos; ++at) text.replace(at, 2, "\n");
  return text;
}

Suite read(const std::string& name, const std::string& kind, const std::string& file) {
  Suite suite;
  suite.name = name;
  suite.kind = kind;
  std::ifstream in(file);
  for (std::string line; std::getline(in, line);) {
    std::istringstream words(line);
    std::string what;
    words >> what >> std::ws;
    const auto rest = [&] {
      std::string text;
      std::getline(words >> std::ws, text);
      return text;
    };
    if (what == "alg") suite.alg = rest();
    if (what == "config") suite.config = rest();
    if (what == "env") {
      std::string variable;
      words >> variable;
      suite.environment.emplace_back(variable, rest());
    }
    if (what == "key") {
      Key key;
      words >> key.kid;
      key.pem = unescaped(rest());
      suite.keys.push_back(std::move(key));
    }
    if (what == "token") {
      Token token;
      words >> token.key >> token.good >> token.subject >> token.text;
      suite.tokens.push_back(std::move(token));
    }
  }
  if (suite.tokens.empty() || suite.keys.empty()) fail(file, "no tokens or no keys in it");
  return suite;
}

int serve() {
  std::map<std::string, Loaded> suites;
  Contestant* contestant = nullptr;
  std::vector<const Token*> tokens;
  for (std::string line; std::getline(std::cin, line);) {
    std::istringstream words(line);
    std::string order, name;
    words >> order;
    if (order == "load") {
      std::string kind, file;
      words >> name >> kind >> file;
      Loaded& loaded = suites[name];
      loaded.suite = read(name, kind, file);
      add_postern(loaded.suite, loaded.contestants);
      add_signatures_alone(loaded.suite, loaded.contestants);
      add_jwt_cpp(loaded.suite, loaded.contestants);
      std::string list;
      for (const auto& [peer, _] : loaded.contestants) list += (list.empty() ? "" : ",") + ("{\"peer\":\"" + peer + "\"}");
      std::cout << "{\"contestants\":[" << list << "]}" << std::endl;
    } else if (order == "prepare") {
      std::string peer, index;
      words >> name >> peer >> std::ws;
      const Loaded& loaded = suites[name];
      contestant = nullptr;
      for (const auto& [known, who] : loaded.contestants) {
        if (known == peer) contestant = who.get();
      }
      if (contestant == nullptr) fail(name, "no contestant " + peer);
      tokens.clear();
      while (std::getline(words, index, ',')) tokens.push_back(&loaded.suite.tokens.at(std::stoul(index)));
      contestant->prepare(tokens);
      std::cout << "{}" << std::endl;
    } else if (order == "run" && contestant != nullptr) {
      const auto begun = std::chrono::steady_clock::now();
      contestant->run();
      const std::chrono::duration<double, std::micro> us = std::chrono::steady_clock::now() - begun;
      std::cout << "{\"us\":" << us.count() << "}" << std::endl;
    } else if (order == "check" && contestant != nullptr) {
      int good_refused = 0, wrong_accepted = 0, mixed_up = 0;
      for (std::size_t i = 0; i < tokens.size(); ++i) {
        const auto outcome = contestant->outcome(i);
        if (outcome == Contestant::Outcome::refused) {
          good_refused += tokens[i]->good ? 1 : 0;
        } else if (!tokens[i]->good) {
          ++wrong_accepted;
        } else if (outcome == Contestant::Outcome::mixed_up) {
          ++mixed_up;
        }
      }
      std::cout << "{\"goodRefused\":" << good_refused << ",\"wrongAccepted\":" << wrong_accepted << ",\"mixedUp\":" << mixed_up
                << "}" << std::endl;
    } else {
      fail(order, "no such order");
    }
  }
  return 0;
}

}  // namespace
}  // namespace bench

int main() { return bench::serve(); }
