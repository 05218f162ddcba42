#pragma once

#include <array>
#include <functional>
#include <map>
#include <memory>

#include "ggml/device.h"

namespace xgenmm {

// Graphs of one device that are computed again for every step of the same shape. What their inputs
// point to must stay where it is until clear().
class KeptGraphs {
 public:
  // Numbers that tell what a graph was built for.
  using Shape = std::array<int, 4>;
  struct Built {
    std::unique_ptr<Graph> graph;
    ggml_tensor* out = nullptr;  // what is to be read; nullptr: the graph writes it somewhere
  };

  // capacity: bytes of all graphs together; of one that takes more nothing else is kept.
  explicit KeptGraphs(size_t capacity) : capacity_(capacity) {}

  // The graph of this shape, valid until the next call: built if there is none, or if it has lost
  // its place in the device's activation buffer.
  const Built& get(const Device& device, const Shape& shape, const std::function<Built()>& build);
  // Before anything goes that the graphs point to, or before they are to run elsewhere.
  void clear();

 private:
  size_t capacity_;
  size_t size_ = 0;  // bytes
  std::map<Shape, Built> graphs_;
};

}  // namespace xgenmm
