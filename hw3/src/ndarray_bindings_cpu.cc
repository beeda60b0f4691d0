// The Python module of the CPU device: which kernel stands under which name of the device table.
#include <algorithm>
#include <cstring>

#include "kernels/parallel.h"
#include "kernels/shortcuts.h"
#include "ndarray_backend_cpu.h"
#include "ndarray_bindings.h"

namespace needle {
namespace cpu {
namespace {

using A = AlignedArray;

// out[batch..., m, p] = a[batch..., m, n] @ b[batch..., n, p], where a and b are any views: a
// transposed operand or a broadcast batch axis costs no copy. shape = (batch..., m, n, p).
void MatmulStrided(const A& a, const A& b, A* out, const Dims& shape, const Dims& a_strides,
                   size_t a_offset, const Dims& b_strides, size_t b_offset) {
  const size_t axes = shape.size() - 3;  // of the batch
  const size_t m = shape[axes], n = shape[axes + 1], p = shape[axes + 2];
  size_t batches = 1;
  for (size_t i = 0; i < axes; ++i) batches *= shape[i];
  auto multiply = [&](size_t batch) {
    ptrdiff_t a_start = a_offset, b_start = b_offset;
    for (size_t i = axes, rest = batch; i-- > 0; rest /= shape[i]) {
      ptrdiff_t index = rest % shape[i];
      a_start += index * a_strides[i];
      b_start += index * b_strides[i];
    }
    MatmulViews({a.ptr + a_start, a_strides[axes], a_strides[axes + 1]},
                {b.ptr + b_start, b_strides[axes], b_strides[axes + 1]}, out->ptr + batch * m * p,
                m, n, p);
  };
  if (batches < thread_count()) {
    for (size_t batch = 0; batch < batches; ++batch) multiply(batch);
  } else {  // one thread a product
    const size_t grain = std::max<size_t>(1, (size_t{1} << 16) / std::max<size_t>(1, m * n * p));
    parallel_for(batches, grain, [&](size_t begin, size_t end) {
      for (size_t batch = begin; batch < end; ++batch) multiply(batch);
    });
  }
}

void bind_matmul_views(py::module_& m) {
  m.def("matmul_views",
        [](Ref<A> a, Ref<A> b, Ref<A> out, const Dims& shape, const Dims& a_strides,
           int64_t a_offset, const Dims& b_strides, int64_t b_offset) {
          const char* name = "matmul_views";
          require(shape.size() >= 3, "matmul_views: shape is (batch..., m, n, p)");
          Dims left(shape), right(shape), result(shape);
          left.erase(left.end() - 1);
          right.erase(right.end() - 3);
          result.erase(result.end() - 2);
          check_view(name, left, a_strides, a_offset, a->size);
          check_view(name, right, b_strides, b_offset, b->size);
          require_same_size(name, element_count(name, result), out->size);
          require(out.array != a.array && out.array != b.array,
                  "matmul_views: out must be a buffer of its own");
          run_kernel(out->size * static_cast<size_t>(shape[shape.size() - 2]), [&] {
            MatmulStrided(*a, *b, out.array, shape, a_strides, static_cast<size_t>(a_offset),
                          b_strides, static_cast<size_t>(b_offset));
          });
        });
}

// ewise_add_views(a, a_strides, a_offset, b, b_strides, b_offset, out, shape), ...
void bind_binary_views(py::module_& m, Named<StridedBinary> table) {
  for (auto& [name, kernel] : table) {
    m.def(name, [name = name, kernel = kernel](Ref<A> a, const Dims& a_strides, int64_t a_offset,
                                               Ref<A> b, const Dims& b_strides, int64_t b_offset,
                                               Ref<A> out, const Dims& shape) {
      check_view(name, shape, a_strides, a_offset, a->size);
      check_view(name, shape, b_strides, b_offset, b->size);
      require_same_size(name, element_count(name, shape), out->size);
      run_kernel(out->size, [&] {
        kernel({*a, a_strides, static_cast<size_t>(a_offset)},
               {*b, b_strides, static_cast<size_t>(b_offset)}, out.array, shape);
      });
    });
  }
}

// reduce_sum_views(a, out, outer, length, inner), ...
void bind_reduction_views(py::module_& m, Named<AxisReduction> table) {
  for (auto& [name, kernel] : table) {
    m.def(name, [name = name, kernel = kernel](Ref<A> a, Ref<A> out, int64_t outer, int64_t length,
                                               int64_t inner) {
      require_same_size(name, element_count(name, {outer, length, inner}), a->size);
      require_same_size(name, element_count(name, {outer, inner}), out->size);
      require(length > 0, std::string(name) + ": there must be something to reduce");
      run_kernel(a->size, [&] { kernel(*a, out.array, outer, length, inner); });
    });
  }
}

}  // namespace
}  // namespace cpu
}  // namespace needle

PYBIND11_MODULE(ndarray_backend_cpu, m) {
  using namespace needle;
  using namespace needle::cpu;
  m.doc() = "NDArray's kernels on the CPU.";

  bind_array<A>(m, "cpu", TILE);
  bind_numpy<A>(
      m, [](const A& a, size_t first, size_t, std::vector<float>&) { return a.ptr + first; },
      [](const float* host, A* out) {
        if (out->size > 0) std::memcpy(out->ptr, host, out->size * ELEM_SIZE);
      });
  bind_fill<A>(m, Fill);
  bind_strided<A>(m, Compact, EwiseSetitem, ScalarSetitem);
  bind_binary<A>(m, {{"ewise_add", EwiseAdd},
                     {"ewise_mul", EwiseMul},
                     {"ewise_div", EwiseDiv},
                     {"ewise_maximum", EwiseMaximum},
                     {"ewise_eq", EwiseEq},
                     {"ewise_ge", EwiseGe}});
  bind_scalar<A>(m, {{"scalar_add", ScalarAdd},
                     {"scalar_mul", ScalarMul},
                     {"scalar_div", ScalarDiv},
                     {"scalar_power", ScalarPower},
                     {"scalar_maximum", ScalarMaximum},
                     {"scalar_eq", ScalarEq},
                     {"scalar_ge", ScalarGe}});
  bind_unary<A>(m, {{"ewise_log", EwiseLog}, {"ewise_exp", EwiseExp}, {"ewise_tanh", EwiseTanh}});
  bind_reduction<A>(m, {{"reduce_max", ReduceMax}, {"reduce_sum", ReduceSum}});
  bind_matmul<A>(m, "matmul", Matmul);
  bind_matmul<A>(m, "matmul_tiled", MatmulTiled, TILE);
  bind_matmul_views(m);
  bind_binary_views(m, {{"ewise_add_views", StridedAdd},
                          {"ewise_sub_views", StridedSub},
                          {"ewise_mul_views", StridedMul},
                          {"ewise_div_views", StridedDiv},
                          {"ewise_maximum_views", StridedMaximum},
                          {"ewise_eq_views", StridedEq},
                          {"ewise_ge_views", StridedGe}});
  bind_reduction_views(m, {{"reduce_sum_views", ReduceSumAxis}, {"reduce_max_views", ReduceMaxAxis}});
}
