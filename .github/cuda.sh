#!/usr/bin/env bash
# Makes the package with the addon for CUDA. No runner has a GPU, so nothing of it is run.
set -euo pipefail

npm ci --ignore-scripts
npm run prepare
npm run build -- --cuda --cuda-architectures release
npm pack "$(node scripts/cuda-package.mjs)" --pack-destination build
