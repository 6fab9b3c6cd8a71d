// Writes down every operation on a limb that core/src/ed25519_field.h and the point formulas of core/src/ed25519.cpp do, for
// ed25519_prove.py to prove. The code is the code that ships: only the limbs' types are other ones, which record.
//
//   begin <name>
//   in <id> <type> <name>       a value about which only the bounds are known that ed25519_prove.py gives it
//   const <id> <type> <value>
//   <operator> <id> <type> <id> <id>       add sub mul, and with a constant on the right: shr and
//   cast <id> <type> <id>
//   out <id> <name>
//   end
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <type_traits>

namespace record {

inline int next_id = 0;

enum class Type : char { limb = 'L', wide = 'W', scalar = 'S' };

template <Type type>
struct Recorded {
  int id = -1;

  Recorded() = default;
  Recorded(const Recorded&) = default;
  Recorded& operator=(const Recorded&) = default;
  template <typename Integer, typename = std::enable_if_t<std::is_integral_v<Integer>>>
  Recorded(Integer value) : id(next_id++) {
    std::printf("const %d %c %s\n", id, static_cast<char>(type), std::to_string(value).c_str());
  }
  template <Type other>
  explicit Recorded(const Recorded<other>& from) : id(next_id++) {
    std::printf("cast %d %c %d\n", id, static_cast<char>(type), from.id);
  }
  static Recorded make(const char* what, int a, int b) {
    Recorded r;
    r.id = next_id++;
    std::printf("%s %d %c %d %d\n", what, r.id, static_cast<char>(type), a, b);
    return r;
  }
  static Recorded input(const std::string& name) {
    Recorded r;
    r.id = next_id++;
    std::printf("in %d %c %s\n", r.id, static_cast<char>(type), name.c_str());
    return r;
  }
  friend Recorded operator+(const Recorded& a, const Recorded& b) { return make("add", a.id, b.id); }
  friend Recorded operator-(const Recorded& a, const Recorded& b) { return make("sub", a.id, b.id); }
  friend Recorded operator*(const Recorded& a, const Recorded& b) { return make("mul", a.id, b.id); }
  friend Recorded operator&(const Recorded& a, const Recorded& b) { return make("and", a.id, b.id); }
  friend Recorded operator>>(const Recorded& a, int bits) { return make("shr", a.id, Recorded(bits).id); }

  // What the rest of ed25519.cpp asks of a number, none of which is recorded or happens here.
  Recorded& operator+=(const Recorded&) { std::abort(); }
  Recorded& operator-=(const Recorded&) { std::abort(); }
  friend Recorded operator<<(const Recorded&, int) { std::abort(); }
  friend bool operator<(const Recorded&, int) { std::abort(); }
  friend bool operator>=(const Recorded&, int) { std::abort(); }
  explicit operator std::uint64_t() const { std::abort(); }
};

}  // namespace record

#define POSTERN_ED25519_PROOF
namespace postern::ed25519 {
using fe_limb = record::Recorded<record::Type::limb>;
using fe_wide = record::Recorded<record::Type::wide>;
using sc_limb = record::Recorded<record::Type::scalar>;
// A limb in a product of wide ones becomes wide, as C does it.
inline fe_wide operator*(const fe_wide& a, const fe_limb& b) { return a * fe_wide(b); }
}  // namespace postern::ed25519

#include "ed25519.cpp"  // NOLINT: the real one

namespace postern::ed25519 {
namespace {

fe input(const std::string& name) {
  fe r;
  for (int i = 0; i < fe_limbs; ++i) r.v[i] = fe_limb::input(name + std::to_string(i));
  return r;
}

void output(const fe& a, const std::string& name) {
  for (int i = 0; i < fe_limbs; ++i) std::printf("out %d %s%d\n", a.v[i].id, name.c_str(), i);
}

void begin(const char* name) { std::printf("begin %s %d\n", name, POSTERN_ED25519_LIMBS); }
void end() { std::puts("end"); }

template <void (*operation)(fe*, const fe*, const fe*)>
void two(const char* name) {
  begin(name);
  const fe a = input("a");
  const fe b = input("b");
  fe r;
  operation(&r, &a, &b);
  output(r, "r");
  end();
}

template <void (*operation)(fe*, const fe*)>
void one(const char* name) {
  begin(name);
  const fe a = input("a");
  fe r;
  operation(&r, &a);
  output(r, "r");
  end();
}

void output_point(const Point& r) {
  output(r.x, "x");
  output(r.y, "y");
  output(r.z, "z");
  output(r.t, "t");
}

template <bool subtract>
void addition(const char* name) {
  begin(name);
  const Point p{input("px"), input("py"), input("pz"), input("pt")};
  const Multiple q{input("qs"), input("qd"), input("qp")};
  Point r;
  add_multiple<subtract>(r, p, q, Want::with_t);
  output_point(r);
  end();
}

}  // namespace
}  // namespace postern::ed25519

int main() {
  using namespace postern::ed25519;
  two<fe_add>("fe_add");
  two<fe_sub>("fe_sub");
  two<fe_mul>("fe_mul");
  one<fe_square>("fe_square");
  one<fe_carry>("fe_carry");
  one<fe_freeze>("fe_freeze");

  begin("double_point");
  const Point p{input("px"), input("py"), input("pz"), fe{}};
  Point r;
  double_point(r, p, Want::with_t);
  output_point(r);
  end();
  addition<false>("add_multiple");
  addition<true>("subtract_multiple");

  begin("sc_fold");
  sc_limb x[19];
  for (int i = 0; i < 19; ++i) x[i] = sc_limb::input("x" + std::to_string(i));
  sc_fold(x);
  for (int i = 0; i < 9; ++i) std::printf("out %d r%d\n", x[i].id, i);
  end();
}
