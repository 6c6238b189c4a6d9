// Dense layers on a CPU: lengths and products of many vectors, and closed forms of every vector and class in one pass.
//
// float32, in one of two orders of memory: "maps" are (B, K, P), a plane for each class, and "rows" are (P, K), a row
// for each vector. A closed form is a function of a product, of numbers of the vector (n, B * P) and of numbers of the
// class (n, K). Sums over many vectors are collected in float64.

#include <ATen/Parallel.h>
#include <ATen/cpu/vec/functional.h>
#include <ATen/cpu/vec/vec.h>
#include <ATen/ATen.h>
#include <torch/library.h>

#include <algorithm>
#include <mutex>
#include <string>
#include <tuple>
#include <vector>

namespace {

using at::Tensor;
using V = at::vec::Vectorized<float>;
constexpr int64_t W = V::size();
constexpr int64_t BLOCK = 512;        // vectors in a block of a closed form, whose numbers stay in the first cache
constexpr int64_t PORTION = 1 << 18;  // numbers in a portion of a product, which stay in the second cache
constexpr float EPS = 1.1920929e-7f;
constexpr float ROOT_TINY = 1.0842022e-19f, FOURTH_ROOT_TINY = 3.2927225e-10f;  // of the smallest normal number

V load(const float* from, int64_t count) { return count == W ? V::loadu(from) : V::loadu(from, count); }

float total(const V& x) {
  return at::vec::vec_reduce_all<float>([](V& a, V& b) { return a + b; }, x);
}

V asinh(const V& x) {
  const V size = x.abs(), square = x * x, one(1.f);
  return (size + square / (one + (one + square).sqrt())).log1p().copysign(x);
}

// Terms of the law of cosines, cosh(d) = 1 + y, of a vector and a class at radii with a gap.
struct Cosines {
  V y, sinh_gap;
  Cosines(const V& gap, const V& versine, const V& sinhs) {
    const V one(1.f), half(.5f), grown = gap.abs().expm1(), falling = grown / (grown + one);
    y = grown * falling * half + versine * sinhs;
    sinh_gap = ((grown + falling) * half).copysign(gap);
  }
  V sinh() const { return (y * (y + V(2.f))).sqrt(); }
};

V clamp_versine(const V& x) { return at::vec::clamp(x, V(0.f), V(2.f)); }

struct Logit {  // x: component
  enum { PIXEL = 2, CLASS = 3, PIXEL_SUMS = 2, CLASS_SUMS = 3 };
  // pixel: sinh(rho) / |v|, cosh(rho); class: cosh(s), sinh(s), factor
  static V argument(const V& x, const V* pixel, const V* cls) {
    return x * pixel[0] * cls[0] - pixel[1] * cls[1];
  }
  static V value(const V& x, const V* pixel, const V* cls) { return asinh(argument(x, pixel, cls)) * cls[2]; }
  static V slope(const V& g, const V& x, const V* pixel, const V* cls, V* of_pixel, V* of_class) {
    const V a = argument(x, pixel, cls), steepness = g * cls[2] / (V(1.f) + a * a).sqrt();
    of_pixel[0] = steepness * cls[0] * x;
    of_pixel[1] = steepness * cls[1];
    of_class[0] = steepness * pixel[0] * x;
    of_class[1] = steepness * pixel[1];
    of_class[2] = g * asinh(a);
    return steepness * pixel[0] * cls[0];
  }
};

struct Distance {  // x: what the component lacks to the length
  enum { PIXEL = 6, CLASS = 3, PIXEL_SUMS = 2, CLASS_SUMS = 3 };
  // pixel: 1 / |v|, rho, sinh(rho), cosh(rho), sinh(rho) / |v|, 1 where v is 0; class: rho, sinh(rho), 1 / root of c
  static V versine(const V& x, const V* pixel) { return clamp_versine(x * pixel[0] + pixel[5]); }
  static V value(const V& x, const V* pixel, const V* cls) {
    const Cosines terms(pixel[1] - cls[0], versine(x, pixel), pixel[2] * cls[1]);
    return (terms.y + terms.sinh()).log1p() * cls[2];
  }
  static V slope(const V& gradient, const V& x, const V* pixel, const V* cls, V* of_pixel, V* of_class) {
    const V g = gradient * cls[2], lacking = versine(x, pixel), sinhs = pixel[2] * cls[1];
    const Cosines terms(pixel[1] - cls[0], lacking, sinhs);
    const V sinh = terms.sinh(), steep = at::vec::maximum(sinh, V(ROOT_TINY));
    const V by_gap = g / steep * terms.sinh_gap, by_versine = g / steep * lacking;
    // Below the resolution of the versine, the derivative by the angle is noise; between parallel vectors it is 0.
    const V by_angle = g / at::vec::maximum(steep, sinhs * V(EPS)) * cls[1];
    const V slope = V::blendv(by_angle * pixel[4], V(0.f), lacking == V(0.f));
    of_pixel[0] = by_gap + by_versine * cls[1] * pixel[3];
    of_pixel[1] = slope * lacking;
    of_class[0] = by_gap;
    of_class[1] = by_versine * pixel[2];
    of_class[2] = g * (terms.y + sinh).log1p();
    return slope;
  }
};

struct Angle {  // x: component
  enum { PIXEL = 7, CLASS = 3, PIXEL_SUMS = 2, CLASS_SUMS = 1 };
  // pixel: as of a distance, |v|; class: rho, sinh(rho), cosh(rho)
  static V versine(const V& x, const V* pixel) { return clamp_versine((pixel[6] - x) * pixel[0] + pixel[5]); }
  static V sine(const V& versine) { return (versine * (V(2.f) - versine)).sqrt(); }
  static V value(const V& x, const V* pixel, const V* cls) {
    const V lacking = versine(x, pixel);
    const Cosines terms(pixel[1] - cls[0], lacking, pixel[2] * cls[1]);
    return (pixel[2] * sine(lacking)).atan2(terms.sinh_gap - lacking * pixel[2] * cls[2]);
  }
  static V slope(const V& g, const V& x, const V* pixel, const V* cls, V* of_pixel, V* of_class) {
    const V lacking = versine(x, pixel), across_sine = sine(lacking), sinhs = pixel[2] * cls[1];
    const Cosines terms(pixel[1] - cls[0], lacking, sinhs);
    // Where the distance is below the resolution of the versine, the direction is noise.
    const V sinh = at::vec::maximum(terms.sinh(), at::vec::maximum(sinhs * V(EPS), V(FOURTH_ROOT_TINY)));
    const V steepness = g / (sinh * sinh), turned = steepness * across_sine;
    const V across = (terms.sinh_gap + lacking * pixel[3] * cls[1]) / across_sine;
    const V slope = V::blendv(-(steepness * across * pixel[4]), V(0.f), across_sine == V(0.f));
    of_pixel[0] = turned * cls[1];
    of_pixel[1] = slope * (V(1.f) - lacking);
    of_class[0] = turned * pixel[2] * (terms.y + V(1.f));
    return slope;
  }
};

// Numbers of vectors or classes, n rows of a matrix.
struct Numbers {
  const float* data;
  int64_t row;
  Numbers from(int64_t start) const { return {data + start, row}; }
  template <int N> void all(V* to, int64_t place) const {
    for (int n = 0; n < N; n++) to[n] = V(data[n * row + place]);
  }
  template <int N> void some(V* to, int64_t place, int64_t count) const {
    for (int n = 0; n < N; n++) to[n] = load(data + n * row + place, count);
  }
};

// A block of numbers in memory: lines whose neighbors are vectors (maps) or classes (rows).
struct Block {
  int64_t start, line, lines, length;  // offset of the first line, distance of lines, their number and length
  int64_t pixel;                       // the first vector
};

template <class Task>
void for_blocks(const Tensor& products, const Task& task) {
  const bool rows = products.dim() == 2;
  const int64_t planes = rows ? 1 : products.size(0), classes = products.size(1);
  const int64_t count = rows ? products.size(0) : products.size(2), blocks = (count + BLOCK - 1) / BLOCK;
  at::parallel_for(0, planes * blocks, 1, [&](int64_t begin, int64_t end) {
    std::vector<Block> mine;
    for (int64_t n = begin; n < end; n++) {
      const int64_t plane = n / blocks, first = n % blocks * BLOCK, size = std::min(BLOCK, count - first);
      if (rows) mine.push_back({first * classes, classes, size, classes, first});
      else mine.push_back({plane * classes * count + first, count, classes, size, plane * count + first});
    }
    task(mine);
  });
}

template <class F, bool ROWS>
void value(const Block& block, const float* x, float* out, Numbers pixels, Numbers classes) {
  V pixel[F::PIXEL], cls[F::CLASS];
  pixels = pixels.from(block.pixel);
  for (int64_t line = 0; line < block.lines; line++) {
    if (ROWS) pixels.all<F::PIXEL>(pixel, line);
    else classes.all<F::CLASS>(cls, line);
    const int64_t at = block.start + line * block.line;
    for (int64_t i = 0; i < block.length; i += W) {
      const int64_t count = std::min(W, block.length - i);
      if (ROWS) classes.some<F::CLASS>(cls, i, count);
      else pixels.some<F::PIXEL>(pixel, i, count);
      F::value(load(x + at + i, count), pixel, cls).store(out + at + i, count);
    }
  }
}

template <class F, bool ROWS>
void slope(const Block& block, const float* g, const float* x, float* out, Numbers pixels, Numbers classes,
           float* pixel_sums, std::vector<double>& class_sums, int64_t num_classes) {
  constexpr int LINE_SUMS = ROWS ? F::PIXEL_SUMS : F::CLASS_SUMS, OTHER_SUMS = ROWS ? F::CLASS_SUMS : F::PIXEL_SUMS;
  V pixel[F::PIXEL], cls[F::CLASS], of_pixel[F::PIXEL_SUMS], of_class[F::CLASS_SUMS];
  const V *of_line = ROWS ? of_pixel : of_class, *of_other = ROWS ? of_class : of_pixel;
  std::vector<float> others(OTHER_SUMS * block.length, 0.f);
  const int64_t row = pixels.row;
  pixels = pixels.from(block.pixel);
  for (int64_t line = 0; line < block.lines; line++) {
    if (ROWS) pixels.all<F::PIXEL>(pixel, line);
    else classes.all<F::CLASS>(cls, line);
    V sums[LINE_SUMS];
    for (auto& sum : sums) sum = V(0.f);
    const int64_t at = block.start + line * block.line;
    for (int64_t i = 0; i < block.length; i += W) {
      const int64_t count = std::min(W, block.length - i);
      if (ROWS) classes.some<F::CLASS>(cls, i, count);
      else pixels.some<F::PIXEL>(pixel, i, count);
      F::slope(load(g + at + i, count), load(x + at + i, count), pixel, cls, of_pixel, of_class)
          .store(out + at + i, count);
      for (int n = 0; n < LINE_SUMS; n++) sums[n] = sums[n] + V::set(V(0.f), of_line[n], count);
      for (int n = 0; n < OTHER_SUMS; n++) {
        float* sum = others.data() + n * block.length + i;
        (load(sum, count) + of_other[n]).store(sum, count);
      }
    }
    for (int n = 0; n < LINE_SUMS; n++) {
      if (ROWS) pixel_sums[n * row + block.pixel + line] = total(sums[n]);
      else class_sums[n * num_classes + line] += total(sums[n]);
    }
  }
  for (int n = 0; n < OTHER_SUMS; n++)
    for (int64_t i = 0; i < block.length; i++) {
      const float sum = others[n * block.length + i];
      if (ROWS) class_sums[n * num_classes + i] += sum;
      else pixel_sums[n * row + block.pixel + i] = sum;
    }
}

void check(const Tensor& products, const Tensor& pixels, const Tensor& classes, int64_t n_pixel, int64_t n_class) {
  const bool rows = products.dim() == 2;
  TORCH_CHECK(rows || products.dim() == 3, "expected products (P, K) or (B, K, P)");
  const int64_t vectors = rows ? products.size(0) : products.size(0) * products.size(2);
  TORCH_CHECK(pixels.dim() == 2 && pixels.size(0) == n_pixel && pixels.size(1) == vectors, "numbers of vectors differ");
  TORCH_CHECK(classes.dim() == 2 && classes.size(0) == n_class && classes.size(1) == products.size(1),
              "numbers of classes differ");
  for (const Tensor& x : {products, pixels, classes})
    TORCH_CHECK(x.is_contiguous() && x.scalar_type() == at::kFloat && x.is_cpu(), "expected contiguous float32, CPU");
}

Numbers numbers(const Tensor& x) { return {x.const_data_ptr<float>(), x.size(1)}; }

template <class F>
Tensor values_of(const Tensor& products, const Tensor& pixels, const Tensor& classes) {
  check(products, pixels, classes, F::PIXEL, F::CLASS);
  Tensor out = at::empty_like(products);
  const float* x = products.const_data_ptr<float>();
  float* to = out.mutable_data_ptr<float>();
  for_blocks(products, [&](const std::vector<Block>& blocks) {
    for (const auto& block : blocks)
      (products.dim() == 2 ? value<F, true> : value<F, false>)(block, x, to, numbers(pixels), numbers(classes));
  });
  return out;
}

template <class F>
std::tuple<Tensor, Tensor, Tensor> slopes_of(const Tensor& gradient, const Tensor& products, const Tensor& pixels,
                                             const Tensor& classes) {
  check(products, pixels, classes, F::PIXEL, F::CLASS);
  check(gradient, pixels, classes, F::PIXEL, F::CLASS);
  const int64_t num_classes = products.size(1);
  Tensor out = at::empty_like(products), of_pixels = at::empty({F::PIXEL_SUMS, pixels.size(1)}, products.options());
  Tensor of_classes = at::zeros({F::CLASS_SUMS, num_classes}, products.options().dtype(at::kDouble));
  const float *g = gradient.const_data_ptr<float>(), *x = products.const_data_ptr<float>();
  float *to = out.mutable_data_ptr<float>(), *pixel_sums = of_pixels.mutable_data_ptr<float>();
  double* sums = of_classes.mutable_data_ptr<double>();
  std::mutex one_at_a_time;
  for_blocks(products, [&](const std::vector<Block>& blocks) {
    std::vector<double> mine(F::CLASS_SUMS * num_classes, 0.);
    for (const auto& block : blocks)
      (products.dim() == 2 ? slope<F, true> : slope<F, false>)(block, g, x, to, numbers(pixels), numbers(classes),
                                                               pixel_sums, mine, num_classes);
    const std::lock_guard<std::mutex> lock(one_at_a_time);
    for (size_t n = 0; n < mine.size(); n++) sums[n] += mine[n];
  });
  return {out, of_pixels, of_classes.to(at::kFloat)};
}

Tensor values(const std::string& form, const Tensor& products, const Tensor& pixels, const Tensor& classes) {
  if (form == "logit") return values_of<Logit>(products, pixels, classes);
  if (form == "distance") return values_of<Distance>(products, pixels, classes);
  TORCH_CHECK(form == "angle", "unknown form ", form);
  return values_of<Angle>(products, pixels, classes);
}

std::tuple<Tensor, Tensor, Tensor> slopes(const std::string& form, const Tensor& gradient, const Tensor& products,
                                          const Tensor& pixels, const Tensor& classes) {
  if (form == "logit") return slopes_of<Logit>(gradient, products, pixels, classes);
  if (form == "distance") return slopes_of<Distance>(gradient, products, pixels, classes);
  TORCH_CHECK(form == "angle", "unknown form ", form);
  return slopes_of<Angle>(gradient, products, pixels, classes);
}

// Square sums of columns (D, n), neighbors in a row of memory. Eight at a time, so that rounding does not add up.
void column_squares(const float* v, int64_t line, int64_t dims, int64_t count, float* out) {
  std::fill(out, out + count, 0.f);
  for (int64_t d = 0; d < dims; d += 8) {
    const int64_t some = std::min<int64_t>(8, dims - d);
    for (int64_t i = 0; i < count; i += W) {
      const int64_t n = std::min(W, count - i);
      V sum(0.f);
      for (int64_t j = 0; j < some; j++) {
        const V x = load(v + (d + j) * line + i, n);
        sum = at::vec::fmadd(x, x, sum);
      }
      (load(out + i, n) + sum).store(out + i, n);
    }
  }
}

void row_squares(const float* v, int64_t dims, int64_t count, float* out) {
  for (int64_t row = 0; row < count; row++, v += dims) {
    V sums[4] = {V(0.f), V(0.f), V(0.f), V(0.f)};
    for (int64_t i = 0, lane = 0; i < dims; i += W, lane++) {
      const V x = load(v + i, std::min(W, dims - i));
      sums[lane % 4] = at::vec::fmadd(x, x, sums[lane % 4]);
    }
    out[row] = total((sums[0] + sums[1]) + (sums[2] + sums[3]));
  }
}

struct Portion {
  int64_t plane, first, size;
};

template <class Task>
void for_portions(const Tensor& v, const Task& task) {
  const bool rows = v.dim() == 2;
  const int64_t planes = rows ? 1 : v.size(0), dims = v.size(1), count = rows ? v.size(0) : v.size(2);
  const int64_t size = std::max<int64_t>(PORTION / dims / W * W, W), portions = (count + size - 1) / size;
  at::parallel_for(0, planes * portions, 1, [&](int64_t begin, int64_t end) {
    at::NoGradGuard no_gradients;
    at::AutoDispatchBelowADInplaceOrView below;
    std::vector<Portion> mine;
    for (int64_t n = begin; n < end; n++) {
      const int64_t first = n % portions * size;
      mine.push_back({n / portions, first, std::min(size, count - first)});
    }
    task(mine);
  });
}

// A portion as a matrix with a column for each vector.
Tensor columns(const Tensor& x, const Portion& portion) {
  if (x.dim() == 2) return x.narrow(0, portion.first, portion.size).t();
  return x.select(0, portion.plane).narrow(1, portion.first, portion.size);
}

void check_vectors(const Tensor& v, const Tensor& directions) {
  TORCH_CHECK(v.dim() == 2 || v.dim() == 3, "expected vectors (P, D) or (B, D, P)");
  TORCH_CHECK(directions.dim() == 2 && directions.size(1) == v.size(1), "expected directions (K, D)");
  for (const Tensor& x : {v, directions})
    TORCH_CHECK(x.is_contiguous() && x.scalar_type() == at::kFloat && x.is_cpu(), "expected contiguous float32, CPU");
}

std::tuple<Tensor, Tensor> products(const Tensor& v, const Tensor& directions) {
  check_vectors(v, directions);
  const bool rows = v.dim() == 2;
  const int64_t dims = v.size(1), count = rows ? v.size(0) : v.size(2), classes = directions.size(0);
  Tensor lengths = rows ? at::empty({count, 1}, v.options()) : at::empty({v.size(0), 1, count}, v.options());
  Tensor out = rows ? at::empty({count, classes}, v.options()) : at::empty({v.size(0), classes, count}, v.options());
  for_portions(v, [&](const std::vector<Portion>& portions) {
    for (const auto& portion : portions) {
      const Tensor part = columns(v, portion), to = columns(lengths, portion);
      const float* from = part.const_data_ptr<float>();
      float* squares = to.mutable_data_ptr<float>();
      if (rows) row_squares(from, dims, portion.size, squares);
      else column_squares(from, count, dims, portion.size, squares);
      for (int64_t i = 0; i < portion.size; i++) squares[i] = std::sqrt(squares[i]);
      Tensor inner = columns(out, portion);
      at::mm_out(inner, directions, part);
    }
  });
  return {lengths, out};
}

std::tuple<Tensor, Tensor> products_backward(const Tensor& pull, const Tensor& by_products, const Tensor& v,
                                             const Tensor& directions, bool with_vectors) {
  check_vectors(v, directions);
  const bool rows = v.dim() == 2;
  const int64_t dims = v.size(1), count = rows ? v.size(0) : v.size(2);
  Tensor by_v = with_vectors ? at::empty_like(v) : Tensor(), by_directions = at::zeros_like(directions);
  std::mutex one_at_a_time;
  for_portions(v, [&](const std::vector<Portion>& portions) {
    Tensor mine = at::zeros_like(directions);
    for (const auto& portion : portions) {
      const Tensor part = columns(v, portion), inner = columns(by_products, portion);
      mine.addmm_(inner, part.t());
      if (!with_vectors) continue;
      Tensor to = columns(by_v, portion);
      const float *from = part.const_data_ptr<float>(), *pulled = columns(pull, portion).const_data_ptr<float>();
      float* out = to.mutable_data_ptr<float>();
      if (rows) {
        for (int64_t row = 0; row < portion.size; row++) {
          const V scale(pulled[row]);
          for (int64_t i = 0; i < dims; i += W) {
            const int64_t n = std::min(W, dims - i), at = row * dims + i;
            (load(from + at, n) * scale).store(out + at, n);
          }
        }
      } else {
        for (int64_t d = 0; d < dims; d++)
          for (int64_t i = 0; i < portion.size; i += W) {
            const int64_t n = std::min(W, portion.size - i), at = d * count + i;
            (load(from + at, n) * load(pulled + i, n)).store(out + at, n);
          }
      }
      to.addmm_(directions.t(), inner);
    }
    const std::lock_guard<std::mutex> lock(one_at_a_time);
    by_directions.add_(mine);
  });
  return {with_vectors ? by_v : at::empty({0}, v.options()), by_directions};
}

}  // namespace

TORCH_LIBRARY(hyperbolic_seg, library) {
  library.def("values(str form, Tensor products, Tensor pixels, Tensor classes) -> Tensor");
  library.def(
      "slopes(str form, Tensor gradient, Tensor products, Tensor pixels, Tensor classes) -> (Tensor, Tensor, Tensor)");
  library.def("products(Tensor v, Tensor directions) -> (Tensor, Tensor)");
  library.def(
      "products_backward(Tensor pull, Tensor by_products, Tensor v, Tensor directions, bool with_vectors)"
      " -> (Tensor, Tensor)");
}

TORCH_LIBRARY_IMPL(hyperbolic_seg, CPU, library) {
  library.impl("values", &values);
  library.impl("slopes", &slopes);
  library.impl("products", &products);
  library.impl("products_backward", &products_backward);
}
