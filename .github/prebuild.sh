#!/usr/bin/env bash
# Makes the prebuilt addon of the machine that it runs on and tests it there, without the builds of a checkout.
set -euo pipefail

npm ci --ignore-scripts
npm run prepare
npm run prebuild -- --max-glibc 2.28
npm run test:js
npm run test:native
