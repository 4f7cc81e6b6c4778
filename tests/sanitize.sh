#!/bin/sh
# The native core under the sanitizers of memory and of undefined behaviour: `tests/sanitize.sh`.
# Builds it so into a folder of its own, and runs its tests, which need NumPy alone. First an
# overflow that is planted has to be found. `tests/sanitize.sh thread` looks for races instead.
set -eu
cd "$(dirname "$0")/.."
python=${PYTHON:-.venv/bin/python}
room=$(mktemp -d)
trap 'rm -rf "$room"' EXIT
case ${1:-address} in
address) flags="-fsanitize=address,undefined -fno-sanitize-recover=undefined" library=libasan.so ;;
thread) flags="-fsanitize=thread" library=libtsan.so ;;
*) echo "sanitize: expected address or thread, got $1." >&2 && exit 2 ;;
esac
preload=$(${CC:-gcc} -print-file-name=$library)

PYTHONPATH=src "$python" - "$room/core.so" $flags -fno-omit-frame-pointer -g -O1 <<'CODE'
import sys
from pathlib import Path
from spikeloss._kernels.build import build

build(Path(sys.argv[1]), sys.argv[2:])
CODE

export PYTHONPATH=src SPIKELOSS_CORE="$room/core.so" OMP_NUM_THREADS=3
export ASAN_OPTIONS=detect_leaks=0 UBSAN_OPTIONS=print_stacktrace=1
export TSAN_OPTIONS="halt_on_error=1 report_signal_unsafe=0"

if [ "$library" = libasan.so ]; then
    if LD_PRELOAD=$preload "$python" tests/overflow.py >"$room/said" 2>&1; then
        echo "sanitize: expected an overflow to be found, got none." >&2 && exit 1
    fi
    grep -q "heap-buffer-overflow" "$room/said" || { cat "$room/said" >&2 && exit 1; }
fi
LD_PRELOAD=$preload "$python" -m pytest -q -x -p no:cacheprovider -p no:xdist --noconftest \
    tests/test_core_readouts.py tests/test_core_criteria.py
