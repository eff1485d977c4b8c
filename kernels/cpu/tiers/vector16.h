// Vectors of sixteen floats, for the tier files alone: one 512-bit register, two of 256 bits, or a
// compiler vector type. Everything has internal linkage (see tier.h).
#pragma once

#include <stdint.h>
#if defined(__AVX2__)
#include <immintrin.h>
#endif

namespace {

#if defined(__AVX512F__)

struct V16 {
  __m512 v;
};
static inline V16 v_zero() { return {_mm512_setzero_ps()}; }
static inline V16 v_set(float x) { return {_mm512_set1_ps(x)}; }
static inline V16 v_load(const float* p) { return {_mm512_loadu_ps(p)}; }
static inline void v_store(float* p, V16 a) { _mm512_storeu_ps(p, a.v); }
static inline V16 v_add(V16 a, V16 b) { return {_mm512_add_ps(a.v, b.v)}; }
static inline V16 v_mul(V16 a, V16 b) { return {_mm512_mul_ps(a.v, b.v)}; }
static inline V16 v_div(V16 a, V16 b) { return {_mm512_div_ps(a.v, b.v)}; }
static inline V16 v_max(V16 a, V16 b) { return {_mm512_max_ps(a.v, b.v)}; }
static inline V16 v_min(V16 a, V16 b) { return {_mm512_min_ps(a.v, b.v)}; }
static inline V16 v_madd(V16 a, V16 b, V16 c) { return {_mm512_fmadd_ps(a.v, b.v, c.v)}; }
// Two bf16 per lane: the values at even and at odd k.
static inline V16 v_even_bf16(const uint16_t* p) {
  return {_mm512_castsi512_ps(_mm512_slli_epi32(_mm512_loadu_si512(p), 16))};
}
static inline V16 v_odd_bf16(const uint16_t* p) {
  return {_mm512_castsi512_ps(
      _mm512_and_si512(_mm512_loadu_si512(p), _mm512_set1_epi32(static_cast<int>(0xffff0000))))};
}
static inline V16 v_load_bf16(const uint16_t* p) {
  const __m256i half = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p));
  return {_mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(half), 16))};
}
// 2^n for integral n in [-126, 127].
static inline V16 v_exp2i(V16 n) {
  const __m512i bits = _mm512_add_epi32(_mm512_cvtps_epi32(n.v), _mm512_set1_epi32(127));
  return {_mm512_castsi512_ps(_mm512_slli_epi32(bits, 23))};
}

#elif defined(__AVX2__)

struct V16 {
  __m256 a, b;
};
static inline V16 v_zero() { return {_mm256_setzero_ps(), _mm256_setzero_ps()}; }
static inline V16 v_set(float x) { return {_mm256_set1_ps(x), _mm256_set1_ps(x)}; }
static inline V16 v_load(const float* p) { return {_mm256_loadu_ps(p), _mm256_loadu_ps(p + 8)}; }
static inline void v_store(float* p, V16 x) {
  _mm256_storeu_ps(p, x.a);
  _mm256_storeu_ps(p + 8, x.b);
}
static inline V16 v_add(V16 x, V16 y) { return {_mm256_add_ps(x.a, y.a), _mm256_add_ps(x.b, y.b)}; }
static inline V16 v_mul(V16 x, V16 y) { return {_mm256_mul_ps(x.a, y.a), _mm256_mul_ps(x.b, y.b)}; }
static inline V16 v_div(V16 x, V16 y) { return {_mm256_div_ps(x.a, y.a), _mm256_div_ps(x.b, y.b)}; }
static inline V16 v_max(V16 x, V16 y) { return {_mm256_max_ps(x.a, y.a), _mm256_max_ps(x.b, y.b)}; }
static inline V16 v_min(V16 x, V16 y) { return {_mm256_min_ps(x.a, y.a), _mm256_min_ps(x.b, y.b)}; }
static inline V16 v_madd(V16 x, V16 y, V16 z) {
  return {_mm256_fmadd_ps(x.a, y.a, z.a), _mm256_fmadd_ps(x.b, y.b, z.b)};
}
static inline __m256 widen_even(const uint16_t* p) {
  const __m256i pairs = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p));
  return _mm256_castsi256_ps(_mm256_slli_epi32(pairs, 16));
}
static inline __m256 widen_odd(const uint16_t* p) {
  const __m256i pairs = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p));
  const __m256i mask = _mm256_set1_epi32(static_cast<int>(0xffff0000));
  return _mm256_castsi256_ps(_mm256_and_si256(pairs, mask));
}
static inline V16 v_even_bf16(const uint16_t* p) { return {widen_even(p), widen_even(p + 16)}; }
static inline V16 v_odd_bf16(const uint16_t* p) { return {widen_odd(p), widen_odd(p + 16)}; }
static inline __m256 widen8(const uint16_t* p) {
  const __m128i half = _mm_loadu_si128(reinterpret_cast<const __m128i*>(p));
  return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(half), 16));
}
static inline V16 v_load_bf16(const uint16_t* p) { return {widen8(p), widen8(p + 8)}; }
static inline __m256 exp2i8(__m256 n) {
  const __m256i bits = _mm256_add_epi32(_mm256_cvtps_epi32(n), _mm256_set1_epi32(127));
  return _mm256_castsi256_ps(_mm256_slli_epi32(bits, 23));
}
static inline V16 v_exp2i(V16 n) { return {exp2i8(n.a), exp2i8(n.b)}; }

#else

typedef float Lanes __attribute__((vector_size(64)));
typedef int32_t IntLanes __attribute__((vector_size(64)));

struct V16 {
  Lanes v;
};
static inline V16 v_zero() { return {Lanes{}}; }
static inline V16 v_set(float x) { return {Lanes{} + x}; }
static inline V16 v_load(const float* p) {
  V16 a;
  __builtin_memcpy(&a.v, p, sizeof a.v);
  return a;
}
static inline void v_store(float* p, V16 a) { __builtin_memcpy(p, &a.v, sizeof a.v); }
static inline V16 v_add(V16 a, V16 b) { return {a.v + b.v}; }
static inline V16 v_mul(V16 a, V16 b) { return {a.v * b.v}; }
static inline V16 v_div(V16 a, V16 b) { return {a.v / b.v}; }
static inline V16 v_max(V16 a, V16 b) { return {a.v > b.v ? a.v : b.v}; }
static inline V16 v_min(V16 a, V16 b) { return {a.v < b.v ? a.v : b.v}; }
static inline V16 v_madd(V16 a, V16 b, V16 c) { return {a.v * b.v + c.v}; }
static inline V16 from_bits(IntLanes bits) {
  V16 a;
  __builtin_memcpy(&a.v, &bits, sizeof a.v);
  return a;
}
static inline IntLanes load_pairs(const uint16_t* p) {
  IntLanes pairs;
  __builtin_memcpy(&pairs, p, sizeof pairs);
  return pairs;
}
static inline V16 v_even_bf16(const uint16_t* p) { return from_bits(load_pairs(p) << 16); }
static inline V16 v_odd_bf16(const uint16_t* p) {
  return from_bits(load_pairs(p) & static_cast<int32_t>(0xffff0000));
}
static inline V16 v_load_bf16(const uint16_t* p) {
  IntLanes wide;
  for (int i = 0; i < 16; ++i) wide[i] = static_cast<int32_t>(static_cast<uint32_t>(p[i]) << 16);
  return from_bits(wide);
}
static inline V16 v_exp2i(V16 n) {
  IntLanes bits;
  for (int i = 0; i < 16; ++i) bits[i] = (static_cast<int32_t>(n.v[i]) + 127) << 23;
  return from_bits(bits);
}

#endif

static inline float v_first(V16 a) {
  float lanes[16];
  v_store(lanes, a);
  return lanes[0];
}

#if defined(__AVX512F__)
static inline __m256 v_upper8(V16 a) { return _mm512_extractf32x8_ps(a.v, 1); }
static inline __m256 v_lower8(V16 a) { return _mm512_castps512_ps256(a.v); }
#elif defined(__AVX2__)
static inline __m256 v_upper8(V16 a) { return a.b; }
static inline __m256 v_lower8(V16 a) { return a.a; }
#endif

// Sum of the lanes by a balanced tree, lanes i and i + 8 first: the same order in every tier.
#if defined(__AVX2__)
static inline float v_sum(V16 a) {
  const __m256 eight = _mm256_add_ps(v_lower8(a), v_upper8(a));
  const __m128 four = _mm_add_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
  const __m128 two = _mm_add_ps(four, _mm_movehl_ps(four, four));
  return _mm_cvtss_f32(_mm_add_ss(two, _mm_movehdup_ps(two)));
}

static inline float v_horizontal_max(V16 a) {
  const __m256 eight = _mm256_max_ps(v_lower8(a), v_upper8(a));
  const __m128 four = _mm_max_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
  const __m128 two = _mm_max_ps(four, _mm_movehl_ps(four, four));
  return _mm_cvtss_f32(_mm_max_ss(two, _mm_movehdup_ps(two)));
}
#else
static inline float v_sum(V16 a) {
  float lanes[16];
  v_store(lanes, a);
  for (int width = 8; width > 0; width /= 2) {
    for (int i = 0; i < width; ++i) lanes[i] += lanes[i + width];
  }
  return lanes[0];
}

static inline float v_horizontal_max(V16 a) {
  float lanes[16];
  v_store(lanes, a);
  float best = lanes[0];
  for (int i = 1; i < 16; ++i) best = lanes[i] > best ? lanes[i] : best;
  return best;
}
#endif

// e^x by Cephes' expf: x = n ln 2 + r, a polynomial in r. Below -87 the result is about 1e-38,
// above 88 about 1e38; relative error below 2e-7 between.
static inline V16 v_exp(V16 x) {
  x = v_min(v_max(x, v_set(-87.0f)), v_set(88.0f));
  const V16 shift = v_set(12582912.0f);  // 1.5 x 2^23: adding it rounds to an integer
  const V16 n = v_add(v_add(v_mul(x, v_set(1.44269504f)), shift), v_set(-12582912.0f));
  V16 r = v_madd(n, v_set(-0.693359375f), x);
  r = v_madd(n, v_set(2.12194440e-4f), r);
  V16 p = v_set(1.9875691500e-4f);
  p = v_madd(p, r, v_set(1.3981999507e-3f));
  p = v_madd(p, r, v_set(8.3334519073e-3f));
  p = v_madd(p, r, v_set(4.1665795894e-2f));
  p = v_madd(p, r, v_set(1.6666665459e-1f));
  p = v_madd(p, r, v_set(5.0000001201e-1f));
  p = v_madd(p, v_mul(r, r), v_add(r, v_set(1.0f)));
  return v_mul(p, v_exp2i(n));
}

static inline float widen_bf16(uint16_t value) {
  const uint32_t bits = static_cast<uint32_t>(value) << 16;
  float wide;
  __builtin_memcpy(&wide, &bits, sizeof wide);
  return wide;
}

// Nearest even, as base/dtype.h.
static inline uint16_t round_bf16(float value) {
  uint32_t bits;
  __builtin_memcpy(&bits, &value, sizeof bits);
  if ((bits & 0x7fffffff) > 0x7f800000) return static_cast<uint16_t>((bits >> 16) | 0x40);
  return static_cast<uint16_t>((bits + 0x7fff + ((bits >> 16) & 1)) >> 16);
}

// The first `count` lanes to bf16 or fp32.
static inline void store_row(void* out, int64_t at, int is_bf16, V16 value, int count) {
  if (!is_bf16 && count == 16) return v_store(static_cast<float*>(out) + at, value);
  float lanes[16];
  v_store(lanes, value);
  if (is_bf16 && count == 16) {  // the compiler vectorises a loop of known length
    uint16_t* target = static_cast<uint16_t*>(out) + at;
    for (int i = 0; i < 16; ++i) target[i] = round_bf16(lanes[i]);
    return;
  }
  if (is_bf16) {
    uint16_t* target = static_cast<uint16_t*>(out) + at;
    for (int i = 0; i < count; ++i) target[i] = round_bf16(lanes[i]);
  } else {
    float* target = static_cast<float*>(out) + at;
    for (int i = 0; i < count; ++i) target[i] = lanes[i];
  }
}

// `count` floats, the other lanes zero.
static inline V16 load_part(const float* p, int count) {
  if (count == 16) return v_load(p);
  float lanes[16] = {};
  for (int i = 0; i < count; ++i) lanes[i] = p[i];
  return v_load(lanes);
}

}  // namespace
