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
  // Tokens are made as fast as the weights come out of memory, which one thread per core saturates
  // already; hyperthreads share a core's arithmetic units, and wait for each other after every
  // step. Slow cores make the fast ones wait where work is divided evenly. But fewer than four fast
  // cores fill neither memory nor time: beside them all others compute as well.
  int threads() const;

  // How many threads are of use where none waits for another: one for each processor.
  int independent_threads() const;
};

// As things are now for the calling thread. Where the system does not say which processors are one
// core, or of which kind, each is one, of one kind.
Cores read_cores();

}  // namespace xgenmm
