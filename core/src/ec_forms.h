// What is the same for one of the field's numbers and for several side by side: differences, carries, and the addition of points
// that is made of them. ec_field.h includes this, and ec_lanes.h once more with these names standing for its own. The C subset,
// and nothing but operators that do in each lane of a vector what they do with a number.
//
// EC_LIMB: a limb, or that of each lane. ec_fe, ec_mul, ec_square, ec_mul_sub: of that kind.

// No carry: the result is loose.
LIMBS_INLINE void ec_sub(ec_fe* r, const ec_fe* a, const ec_fe* b) {
  LIMBS_UNROLL
  for (int i = 0; i < limb_count; i++) r->v[i] = a->v[i] - b->v[i];
}

// Takes off the multiple of p that the bits from 2^field_bits up say: they go, and come back times 2^field_bits - p.
LIMBS_INLINE void ec_fold(EC_LIMB v[limb_count]) {
  const EC_LIMB multiple = v[limb_count - 1] >> (int)ec_top_bits;  // a vector takes no enumerator
  v[limb_count - 1] &= (((limb)1) << ec_top_bits) - 1;
  LIMBS_UNROLL
  for (int i = 0; i < limb_count - 1; i++) v[i] -= multiple * ec_p_sparse[i];
  v[limb_count - 1] -= multiple * (ec_p_sparse[limb_count - 1] - (((limb)1) << ec_top_bits));
}

// Loose to carried. Each limb hands its excess to its neighbour, all at once: what arrives is not handed on.
LIMBS_INLINE void ec_carry(ec_fe* r) {
  EC_LIMB v[limb_count];
  LIMBS_UNROLL
  for (int i = 0; i < limb_count; i++) v[i] = r->v[i];
  ec_fold(v);
  r->v[0] = v[0] & LIMB_MASK;
  LIMBS_UNROLL
  for (int i = 1; i < limb_count - 1; i++) r->v[i] = (v[i] & LIMB_MASK) + (v[i - 1] >> (int)limb_bits);
  r->v[limb_count - 1] = v[limb_count - 1] + (v[limb_count - 2] >> (int)limb_bits);
}

// Coordinates tight, carried or canonical.
typedef struct {
  ec_fe x, y;
} ec_affine;

// (X/Z^2, Y/Z^3). Z = 0 modulo p is the point at infinity, and what an addition gives that its formula cannot do.
typedef struct {
  ec_fe x, y, z;
} ec_jacobian;

// sum += point, whose y is canonical or the negative of that. EFD "madd" for short Weierstrass curves in Jacobian coordinates
// (Chudnovsky, Chudnovsky 1986; 8M + 3S), with -Z1 H^2 X1 and the rest of Y3 under one reduction.
//
// Where sum and point are equal or opposite, H = x2 Z1^2 - X1 is zero and so is Z3 = Z1 H, and it stays zero: one look at the
// last Z tells whether any addition on the way was exceptional.
LIMBS_CALL void ec_add_affine(ec_jacobian* sum, const ec_affine* point) {
  ec_fe zz, s2, h, r, hh, hhh, v, t;
  ec_square(&zz, &sum->z);
  ec_mul(&s2, &point->y, &sum->z);
  ec_mul(&h, &point->x, &zz);
  ec_mul(&s2, &s2, &zz);
  ec_sub(&h, &h, &sum->x);
  ec_sub(&r, &s2, &sum->y);
  ec_square(&hh, &h);
  ec_mul(&sum->z, &sum->z, &h);
  ec_mul(&hhh, &h, &hh);
  ec_mul(&v, &sum->x, &hh);
  // X3 = r^2 - H^3 - 2 V
  ec_square(&t, &r);
  ec_sub(&t, &t, &hhh);
  ec_sub(&t, &t, &v);
  ec_sub(&sum->x, &t, &v);
  ec_carry(&sum->x);
  // Y3 = r (V - X3) - Y1 H^3
  ec_sub(&t, &v, &sum->x);
  ec_mul_sub(&sum->y, &r, &t, &sum->y, &hhh);
}
