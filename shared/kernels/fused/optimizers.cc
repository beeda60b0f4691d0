// A step of SGD and of Adam, each in one pass over memory.
#include <cmath>

#include "fused.h"

namespace needle {
namespace cpu {
namespace fused {

void SgdStep(const float* p, const float* g, float* u, float* out, size_t size,
             const SgdSettings& settings) {
  const SgdSettings s = settings;
  if (u == nullptr) {
    for (size_t i = 0; i < size; ++i) out[i] = p[i] - s.lr * (g[i] + s.weight_decay * p[i]);
    return;
  }
  for (size_t i = 0; i < size; ++i) {
    u[i] = s.momentum * u[i] + (1 - s.momentum) * (g[i] + s.weight_decay * p[i]);
    out[i] = p[i] - s.lr * u[i];
  }
}

void AdamStep(const float* p, const float* g, float* m, float* v, float* out, size_t size,
              const AdamSettings& settings) {
  const AdamSettings s = settings;
  // p - lr * (m / c1) / (sqrt(v / c2) + eps), with as few divisions as possible.
  const float root = std::sqrt(s.correction2), rate = s.lr * root / s.correction1,
              eps = s.eps * root;
  for (size_t i = 0; i < size; ++i) {
    const float grad = g[i] + s.weight_decay * p[i];
    m[i] = s.beta1 * m[i] + (1 - s.beta1) * grad;
    v[i] = s.beta2 * v[i] + (1 - s.beta2) * grad * grad;
    out[i] = p[i] - rate * m[i] / (std::sqrt(v[i]) + eps);
  }
}

}  // namespace fused
}  // namespace cpu
}  // namespace needle
