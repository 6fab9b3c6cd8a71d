// The narrow shapes' bounds once more, by another tool: Frama-C's Eva, which follows intervals through the same file. What it
// reports are alarms (an overflow, a cast that loses bits, an index, an uninitialised read) and asserts it cannot show; `run`
// wants none.
//
// The wide shapes cannot be read by it (no 128-bit integers), so prove.py alone speaks for those.
#include "__fc_builtin.h"
#include "ec_lanes.h"

// The bounds that prove.py uses, with its names.
enum { top = 1 << ec_top_bits, radix = 1 << limb_bits };

static void any(ec_fe* r, int low, int high, int top_low, int top_high) {
  for (int i = 0; i < limb_count - 1; i++) r->v[i] = Frama_C_interval(low, high);
  r->v[limb_count - 1] = Frama_C_interval(top_low, top_high);
}
static void any_either(ec_fe* r) { any(r, -8, radix + 8, -top - 8, 2 * top + 8); }
static void any_difference(ec_fe* r) { any(r, -radix - 16, radix + 16, -3 * top - 16, 3 * top + 16); }

static void is_tight(const ec_fe* r) {
  for (int i = 0; i < limb_count - 1; i++) {
    //@ assert 0 <= r->v[i] < radix;
  }
  //@ assert -top - 8 <= r->v[limb_count - 1] <= 2 * top + 8;
}
static void is_carried(const ec_fe* r) {
  for (int i = 0; i < limb_count - 1; i++) {
    //@ assert -8 <= r->v[i] <= radix + 8;
  }
  //@ assert -top / 8 <= r->v[limb_count - 1] <= top + top / 8;
}

void multiplications(void) {
  ec_fe a, b, r;
  any_difference(&a);
  any_difference(&b);
  ec_mul(&r, &a, &b);
  is_tight(&r);
  ec_square(&r, &a);
  is_tight(&r);
  any(&a, -2 * radix - 16, 2 * radix + 16, -2 * top - 16, 4 * top + 16);
  ec_mul(&r, &a, &b);
  is_tight(&r);
}

void two_products(void) {
  ec_fe a, b, c, d, r;
  any_difference(&a);
  any_difference(&b);
  any_difference(&c);
  any_difference(&d);
  ec_mul_sub(&r, &a, &b, &c, &d);
}

void carries(void) {
  ec_fe a, r;
  any(&a, -3 * radix, 3 * radix, -64 * top, 64 * top);
  ec_canonical(&r, &a);
  for (int i = 0; i < limb_count - 1; i++) {
    //@ assert 0 <= r.v[i] < radix;
  }
  ec_carry(&a);
  is_carried(&a);
}

void scalars(void) {
  ec_fe a, b, r;
  any(&a, 0, radix - 1, 0, top - 1);
  any(&b, 0, radix - 1, 0, top - 1);
  ec_scalar_mul(r.v, a.v, b.v);
}

void addition(void) {
  ec_jacobian sum;
  ec_affine point;
  any_either(&sum.x);
  any_either(&sum.y);
  any_either(&sum.z);
  any_either(&point.x);
  any(&point.y, -radix - 8, radix + 8, -2 * top - 8, 2 * top + 8);
  ec_add_affine(&sum, &point);
  is_carried(&sum.x);
  is_tight(&sum.y);
  is_tight(&sum.z);
}

void doubling(void) {
  ec_jacobian point;
  any_either(&point.x);
  any_either(&point.y);
  any_either(&point.z);
  ec_double(&point);
  is_carried(&point.x);
  is_tight(&point.y);
  is_tight(&point.z);
}

void affine_addition(void) {
  ec_affine a, b, out;
  ec_fe dx_inverse;
  any(&a.x, -8, radix + 8, -top / 8, top + top / 8);
  any(&b.x, -8, radix + 8, -top / 8, top + top / 8);
  any(&a.y, -radix - 8, radix + 8, -2 * top - 8, 2 * top + 8);
  any(&b.y, -radix - 8, radix + 8, -2 * top - 8, 2 * top + 8);
  any(&dx_inverse, 0, radix - 1, -top - 8, 2 * top + 8);
  ec_add_two(&out, &a, &b, &dx_inverse);
  is_carried(&out.x);
  is_carried(&out.y);
}

#if POSTERN_LIMB_BITS == 29
static void any_lane(ec_lanes_fe* r, const ec_fe* a) {
  for (int i = 0; i < limb_count; i++) r->v[i] = a->v[i];
}

void lanes(void) {
  ec_fe a, b;
  ec_lanes_fe lane_a, lane_b, r;
  any_difference(&a);
  any_difference(&b);
  any_lane(&lane_a, &a);
  any_lane(&lane_b, &b);
  ec_lanes_mul(&r, &lane_a, &lane_b);
  for (int i = 0; i < limb_count - 1; i++) {
    //@ assert 0 <= r.v[i] < radix;
  }
  //@ assert -top - 8 <= r.v[limb_count - 1] <= 2 * top + 8;
  ec_lanes_square(&r, &lane_a);
  for (int i = 0; i < limb_count - 1; i++) {
    //@ assert 0 <= r.v[i] < radix;
  }
  //@ assert -top - 8 <= r.v[limb_count - 1] <= 2 * top + 8;
}
#endif
