// Element types and their conversions: round to nearest even, NaN stays NaN. Pure functions, any
// thread.
#pragma once

#include <bit>
#include <cstdint>
#include <string_view>

namespace trireme {

// The element types of the safetensors format. Weights are computed with the first three only.
enum class DType : uint8_t {
  kFloat32,
  kBFloat16,
  kFloat16,
  kInt32,
  kInt64,
  kInt8,
  kUint8,
  kBool,
  kInt16,
  kUint16,
  kUint32,
  kUint64,
  kFloat64,
  kComplex64,
  kF8E4M3,
  kF8E5M2,
  kF8E8M0,
  kF8E4M3FNUZ,
  kF8E5M2FNUZ,
  kF6E2M3,
  kF6E3M2,
  kF4,
};

constexpr int bits_of(DType dtype) {
  switch (dtype) {
    case DType::kInt64:
    case DType::kUint64:
    case DType::kFloat64:
    case DType::kComplex64:
      return 64;
    case DType::kFloat32:
    case DType::kInt32:
    case DType::kUint32:
      return 32;
    case DType::kBFloat16:
    case DType::kFloat16:
    case DType::kInt16:
    case DType::kUint16:
      return 16;
    case DType::kF6E2M3:
    case DType::kF6E3M2:
      return 6;
    case DType::kF4:
      return 4;
    default:
      return 8;
  }
}

// Bytes of an element. Precondition: not one of the packed types of fewer than eight bits.
constexpr int size_of(DType dtype) { return bits_of(dtype) / 8; }

// Whether weights can be read from tensors of this type.
constexpr bool is_weight_dtype(DType dtype) {
  return dtype == DType::kFloat32 || dtype == DType::kBFloat16 || dtype == DType::kFloat16;
}

// The usual name; of the quantised types the word of the safetensors format.
constexpr std::string_view name_of(DType dtype) {
  switch (dtype) {
    case DType::kFloat32:
      return "float32";
    case DType::kBFloat16:
      return "bfloat16";
    case DType::kFloat16:
      return "float16";
    case DType::kInt32:
      return "int32";
    case DType::kInt64:
      return "int64";
    case DType::kInt8:
      return "int8";
    case DType::kUint8:
      return "uint8";
    case DType::kBool:
      return "bool";
    case DType::kInt16:
      return "int16";
    case DType::kUint16:
      return "uint16";
    case DType::kUint32:
      return "uint32";
    case DType::kUint64:
      return "uint64";
    case DType::kFloat64:
      return "float64";
    case DType::kComplex64:
      return "complex64";
    case DType::kF8E4M3:
      return "F8_E4M3";
    case DType::kF8E5M2:
      return "F8_E5M2";
    case DType::kF8E8M0:
      return "F8_E8M0";
    case DType::kF8E4M3FNUZ:
      return "F8_E4M3FNUZ";
    case DType::kF8E5M2FNUZ:
      return "F8_E5M2FNUZ";
    case DType::kF6E2M3:
      return "F6_E2M3";
    case DType::kF6E3M2:
      return "F6_E3M2";
    case DType::kF4:
      return "F4";
  }
  return "?";
}

using bf16_t = uint16_t;  // the upper half of an fp32
using fp16_t = uint16_t;  // IEEE 754 binary16

constexpr float bf16_to_float(bf16_t value) {
  return std::bit_cast<float>(static_cast<uint32_t>(value) << 16);
}

constexpr bf16_t float_to_bf16(float value) {
  const uint32_t bits = std::bit_cast<uint32_t>(value);
  if ((bits & 0x7fffffff) > 0x7f800000) return static_cast<bf16_t>((bits >> 16) | 0x40);
  return static_cast<bf16_t>((bits + 0x7fff + ((bits >> 16) & 1)) >> 16);
}

constexpr float fp16_to_float(fp16_t value) {
  const uint32_t sign = static_cast<uint32_t>(value & 0x8000) << 16;
  const uint32_t exponent = (value >> 10) & 0x1f;
  const uint32_t mantissa = value & 0x3ff;
  if (exponent == 0) {  // zero and subnormals: mantissa x 2^-24, exact in fp32
    const float magnitude = static_cast<float>(mantissa) * 0x1p-24f;
    return sign ? -magnitude : magnitude;
  }
  const uint32_t wide_exponent = exponent == 31 ? 255 : exponent + 112;
  return std::bit_cast<float>(sign | (wide_exponent << 23) | (mantissa << 13));
}

constexpr fp16_t float_to_fp16(float value) {
  const uint32_t bits = std::bit_cast<uint32_t>(value);
  const uint32_t sign = (bits >> 16) & 0x8000;
  const uint32_t magnitude = bits & 0x7fffffff;
  if (magnitude > 0x7f800000) return static_cast<fp16_t>(sign | 0x7e00);
  if (magnitude >= 0x477ff000)
    return static_cast<fp16_t>(sign | 0x7c00);  // 65520 and above round to infinity
  if (magnitude < 0x38800000) {  // subnormal: the ulp of an fp32 in [0.5, 1) is 2^-24
    const float shifted = std::bit_cast<float>(magnitude) + 0.5f;
    return static_cast<fp16_t>(sign | (std::bit_cast<uint32_t>(shifted) - 0x3f000000));
  }
  const uint32_t rounded = magnitude + 0xfff + ((magnitude >> 13) & 1);
  return static_cast<fp16_t>(sign | ((rounded - 0x38000000) >> 13));
}

}  // namespace trireme
