#include "shortcuts_bindings.h"

#include "ndarray_bindings.h"
#include "shortcuts.h"

namespace needle {
namespace cpu {
namespace {

using A = AlignedArray;

void bind_matmul_views(py::module_& m) {
  add_function(m, "matmul_views",
               [](Ref<A> a, const Dims& a_strides, int64_t a_offset, Ref<A> b,
                  const Dims& b_strides, int64_t b_offset, Ref<A> out, const Dims& shape) {
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
                 run_product(out->size * static_cast<size_t>(shape[shape.size() - 2]), [&] {
                   MatmulStrided(*a, *b, out.array, shape, a_strides, static_cast<size_t>(a_offset),
                                 b_strides, static_cast<size_t>(b_offset));
                 });
               });
}

// ewise_add_views(a, a_strides, a_offset, b, b_strides, b_offset, out, shape), ...
void bind_binary_views(py::module_& m, Named<StridedBinary> table) {
  for (auto& [name, kernel] : table) {
    add_function(m, name,
                 [name = name, kernel = kernel](Ref<A> a, const Dims& a_strides, int64_t a_offset,
                                                Ref<A> b, const Dims& b_strides, int64_t b_offset,
                                                Ref<A> out, const Dims& shape) {
                   check_view(name, shape, a_strides, a_offset, a->size);
                   check_view(name, shape, b_strides, b_offset, b->size);
                   require_same_size(name, element_count(name, shape), out->size);
                   require(out.array != a.array && out.array != b.array,
                           [&] { return std::string(name) + ": out must be a buffer of its own"; });
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
    add_function(m, name,
                 [name = name, kernel = kernel](Ref<A> a, Ref<A> out, int64_t outer, int64_t length,
                                                int64_t inner) {
                   require_same_size(name, element_count(name, {outer, length, inner}), a->size);
                   require_same_size(name, element_count(name, {outer, inner}), out->size);
                   require(length > 0, [&] {
                     return std::string(name) + ": there must be something to reduce";
                   });
                   run_kernel(a->size, [&] { kernel(*a, out.array, outer, length, inner); });
                 });
  }
}

}  // namespace

void bind_shortcuts(py::module_& m) {
  bind_matmul_views(m);
  bind_binary_views(m, {{"ewise_add_views", StridedAdd},
                        {"ewise_sub_views", StridedSub},
                        {"ewise_mul_views", StridedMul},
                        {"ewise_div_views", StridedDiv},
                        {"ewise_maximum_views", StridedMaximum},
                        {"ewise_eq_views", StridedEq},
                        {"ewise_ge_views", StridedGe}});
  bind_reduction_views(m,
                       {{"reduce_sum_views", ReduceSumAxis}, {"reduce_max_views", ReduceMaxAxis}});
}

}  // namespace cpu
}  // namespace needle
