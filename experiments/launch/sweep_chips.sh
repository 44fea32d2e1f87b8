#!/usr/bin/env bash
# A sweep on one TPU host: a process per chip, each with a seed of its own over the whole grid.
#   bash experiments/launch/sweep_chips.sh CHIPS FOLDER
# Run again after a stop, it resumes. Chip 0's sweep is in FOLDER/seed-0, and so on.
# Where the grid has only fields of docs/sweeps.md's table, `metajax sweep --engine vmap` on a
# single chip comes first: the runs are then one program.
set -euo pipefail
cd "$(dirname "$0")/../.."
chips=${1:?number of chips}
folder=${2:?folder of the sweep}

pids=()
stopped=
# shellcheck disable=SC2317  # called by the trap
stop() {
  stopped=yes
  kill -TERM "${pids[@]}" 2>/dev/null || true
}
trap stop TERM INT

for ((chip = 0; chip < chips; chip++)); do
  mkdir -p "$folder/logs"
  # a TPU runtime takes all chips that it sees: show each process one
  TPU_VISIBLE_CHIPS=$chip TPU_CHIPS_PER_PROCESS_BOUNDS=1,1,1 TPU_PROCESS_BOUNDS=1,1,1 \
    .venv/bin/metajax sweep gpicl --preset cpu --grid width=64,128,256 layers=2,4 \
    --seed "$chip" --workdir "$folder/seed-$chip" --engine process --workers 1 --no-progress \
    >>"$folder/logs/seed-$chip.txt" 2>&1 &
  pids+=($!)
done

worst=0
for pid in "${pids[@]}"; do
  code=0
  wait "$pid" || code=$?
  if [ -n "$stopped" ]; then # the signal may have ended that wait: ask again
    code=0
    wait "$pid" || code=$?
  fi
  # stopped with the state saved (75) counts before failures: the same command resumes
  if [ "$code" -eq 75 ] || { [ "$code" -ne 0 ] && [ "$worst" -ne 75 ]; }; then worst=$code; fi
done
exit "$worst"
