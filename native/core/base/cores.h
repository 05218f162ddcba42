#pragma once

namespace xgenmm {

// What this process may compute on.
struct Cores {
  int processors = 1;  // that the system may run its threads on: hyperthreads each count
  int physical = 1;  // cores that these belong to
  int fast = 1;  // performance cores among them; all where there is one kind
  int quota = 0;  // processors whose time a container grants; 0: no limit

  // How many threads a model computes with unless told otherwise: one for each performance core,
  // at most 16.
  //
  // Tokens are made as fast as the weights come out of memory, for which a core needs no second
  // thread; prompts and pictures are read by the arithmetic units, which hyperthreads share.
  // Threads meet after every step, where the fast ones wait for the part that a slow one has taken.
  // Beside fewer than four fast ones there are usually so many slow ones that they do more all the
  // same: then every core counts.
  int threads() const;

  // How many threads are of use where none waits for another: one for each processor.
  int independent_threads() const;
};

// As things are now for the calling thread. Where the system does not say which processors are one
// core, or of which kind, each is one, of one kind.
Cores read_cores();

}  // namespace xgenmm
