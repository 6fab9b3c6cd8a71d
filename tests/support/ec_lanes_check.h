// Two lanes against one number after the other, over limbs at the edges of what ec_lanes.h allows. For whoever has included that
// header: the native tests, under their own namespace and with sanitizers, and a wasm of its own (tests/runtimes).
#pragma once

#include <cstddef>
#include <cstdint>

namespace postern {

class LanesCheck {
 public:
  explicit LanesCheck(std::uint64_t seed) : state_(seed | 1U) {}

  // How many of so many rounds came out otherwise than with one number at a time.
  std::uint64_t differences(std::uint64_t rounds) {
    std::uint64_t count = 0;
    for (std::uint64_t i = 0; i < rounds; i++) count += products_differ() || sums_differ() ? 1 : 0;
    return count;
  }

 private:
  static constexpr std::int64_t radix = std::int64_t{1} << limb_bits;
  static constexpr std::int64_t top = std::int64_t{1} << ec_top_bits;

  // Both lanes, and each alone.
  struct Pair {
    ec_lanes_fe lanes;
    ec_fe alone[ec_lanes];
  };

  std::uint64_t random() {  // xorshift64
    state_ ^= state_ << 13U;
    state_ ^= state_ >> 7U;
    state_ ^= state_ << 17U;
    return state_;
  }
  limb between(std::int64_t low, std::int64_t high) {
    switch (random() % 6) {
      case 0:
        return static_cast<limb>(low);
      case 1:
        return static_cast<limb>(high);
      case 2:
        return static_cast<limb>(low < 0 ? -1 : low);
      case 3:
        return 0;
      default:
        return static_cast<limb>(low + static_cast<std::int64_t>(random() % static_cast<std::uint64_t>(high - low + 1)));
    }
  }
  // The bounds of tests/proof/prove.py: of the lower limbs, and of the top one.
  Pair draw(std::int64_t low, std::int64_t high, std::int64_t top_low, std::int64_t top_high) {
    Pair pair;
    for (int i = 0; i < limb_count; i++) {
      for (ec_fe& alone : pair.alone) {
        alone.v[i] = i == limb_count - 1 ? between(top_low, top_high) : between(low, high);
      }
      pair.lanes.v[i] = lanes_limb{pair.alone[0].v[i], pair.alone[1].v[i]};
    }
    return pair;
  }
  Pair difference() { return draw(-radix - 16, radix + 16, -3 * top - 16, 3 * top + 16); }
  Pair either() { return draw(-8, radix + 8, -top - 8, 2 * top + 8); }
  Pair anything() { return draw(-3 * radix, 3 * radix, -64 * top, 64 * top); }
  Pair point_y() { return draw(-radix - 8, radix + 8, -2 * top - 8, 2 * top + 8); }

  static bool same_limbs(const ec_lanes_fe& lanes, const ec_fe (&alone)[ec_lanes]) {
    for (int lane = 0; lane < ec_lanes; lane++) {
      ec_fe one;
      ec_lanes_get(&one, &lanes, lane);
      for (int i = 0; i < limb_count; i++) {
        if (one.v[i] != alone[lane].v[i]) return false;
      }
    }
    return true;
  }
  // Modulo p.
  static bool same_number(const ec_lanes_fe& lanes, const ec_fe (&alone)[ec_lanes]) {
    for (int lane = 0; lane < ec_lanes; lane++) {
      ec_fe one;
      ec_lanes_get(&one, &lanes, lane);
      ec_sub(&one, &one, &alone[lane]);
      if (ec_is_zero(&one) == 0) return false;
    }
    return true;
  }

  bool products_differ() {
    const Pair a = difference();
    const Pair b = difference();
    const Pair c = difference();
    const Pair d = difference();
    Pair product;
    Pair square;
    Pair both;
    ec_lanes_mul(&product.lanes, &a.lanes, &b.lanes);
    ec_lanes_square(&square.lanes, &a.lanes);
    ec_lanes_mul_sub(&both.lanes, &a.lanes, &b.lanes, &c.lanes, &d.lanes);
    for (int lane = 0; lane < ec_lanes; lane++) {
      ec_mul(&product.alone[lane], &a.alone[lane], &b.alone[lane]);
      ec_square(&square.alone[lane], &a.alone[lane]);
      ec_mul_sub(&both.alone[lane], &a.alone[lane], &b.alone[lane], &c.alone[lane], &d.alone[lane]);
    }
    return !same_limbs(product.lanes, product.alone) || !same_limbs(square.lanes, square.alone) ||
           !same_number(both.lanes, both.alone);
  }

  bool sums_differ() {
    Pair loose = anything();
    Pair negated = either();
    Pair x = either();
    Pair y = either();
    Pair z = either();
    const Pair point_x = either();
    const Pair other_y = point_y();
    ec_lanes_carry(&loose.lanes);
    ec_lanes_negate_where(&negated.lanes, 0, 1);
    ec_lanes_jacobian sums{x.lanes, y.lanes, z.lanes};
    const ec_lanes_affine points{point_x.lanes, other_y.lanes};
    ec_lanes_add_affine(&sums, &points);
    ec_negate(&negated.alone[1], &negated.alone[1]);
    for (int lane = 0; lane < ec_lanes; lane++) {
      ec_carry(&loose.alone[lane]);
      ec_jacobian sum{x.alone[lane], y.alone[lane], z.alone[lane]};
      const ec_affine point{point_x.alone[lane], other_y.alone[lane]};
      ec_add_affine(&sum, &point);
      x.alone[lane] = sum.x;
      y.alone[lane] = sum.y;
      z.alone[lane] = sum.z;
    }
    return !same_limbs(loose.lanes, loose.alone) || !same_limbs(negated.lanes, negated.alone) || !same_limbs(sums.x, x.alone) ||
           !same_number(sums.y, y.alone) || !same_limbs(sums.z, z.alone);
  }

  std::uint64_t state_;
};

}  // namespace postern
