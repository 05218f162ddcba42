#pragma once

#include <cstdint>
#include <map>
#include <mutex>
#include <string>
#include <vector>

#include "ggml.h"

namespace xgenmm {

// How much each column of a weight matters (llama.cpp's "importance matrix"): the sum of the
// squares of what it is multiplied with. Graphs are built and computed by one thread; any thread
// may read.
class ImportanceSums {
 public:
  struct Entry {
    std::string name;  // of the weight's tensor
    std::vector<float> sums;  // one per column
    int64_t count;  // of the rows that were added
  };

  // x, which is added to the sums of `weight` before it can be used. It stays where it is.
  // x: F32 [columns, rows, n]; mask: as for Graph::attention(), where each row is a key: those that
  // no query sees do not count.
  ggml_tensor* observe(ggml_context* context, ggml_tensor* x, const ggml_tensor* weight,
                       ggml_tensor* mask);

  // What has been computed so far, in the order of the names. A step that is being computed, or was
  // cut short, counts for the weights that it has reached.
  std::vector<Entry> entries() const;

 private:
  struct Sums {
    std::mutex* mutex = nullptr;
    std::vector<double> squares;
    int64_t rows = 0;
  };
  static void add(ggml_tensor* x, int thread, int threads, void* sums);

  mutable std::mutex mutex_;
  std::map<std::string, Sums> weights_;  // never shrinks: graphs point at the sums
};

}  // namespace xgenmm
