#!/usr/bin/env bash
# Measure one GPU in at most eight minutes: bench/gpu.sh [--out FOLDER] [--dry] [--parts NAME ...]
set -euo pipefail
cd "$(dirname "$0")/.."
exec "${PYTHON:-python3}" -m bench.gpu "$@"
