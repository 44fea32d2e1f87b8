#!/usr/bin/env bash
# GPICL with the paper's settings on a spot slice of 16 TPU v6e chips (4 hosts), by gcloud alone:
# asks for the slice, runs the same command on all its hosts, and asks for another slice whenever
# one is taken away, until the run is done.
# From the top folder of the repository, committed:
#   PROJECT=... ZONE=... BUCKET=... bash experiments/launch/queued_tpu.sh
set -euo pipefail
cd "$(dirname "$0")/../.."
name=${NAME:-metajax-gpicl}
slice=${SLICE:-v6e-16}                # or v5litepod-16
runtime=${RUNTIME:-v2-alpha-tpuv6e}   # for v5litepod: v2-alpha-tpuv5-lite
bucket=${BUCKET:?a bucket in the region of the slice}
run=${RUN:-gpicl-paper}
where=(--project "${PROJECT:?}" --zone "${ZONE:?}")

archive=$(mktemp --suffix=.tar.gz)
trap 'rm -f "$archive"' EXIT
git archive --format=tar.gz --output "$archive" HEAD

state() {
  gcloud compute tpus queued-resources describe "$name" "${where[@]}" \
    --format 'value(state.state)' 2>/dev/null || echo NONE
}

on_all() { gcloud compute tpus tpu-vm ssh "$name" "${where[@]}" --worker all --command "$1"; }

# the last file that a run writes
finished() { gcloud storage ls "gs://$bucket/$run/summary.json" >/dev/null 2>&1; }

delete() {
  gcloud compute tpus queued-resources delete "$name" "${where[@]}" --force --quiet
}

get_slice() {
  while true; do
    case $(state) in
      ACTIVE) return ;;
      NONE)
        gcloud compute tpus queued-resources create "$name" "${where[@]}" --node-id "$name" \
          --accelerator-type "$slice" --runtime-version "$runtime" --spot
        ;;
      FAILED | SUSPENDED) delete ;;
      *) sleep 30 ;; # in the queue, or on its way in or out
    esac
  done
}

prepare="mkdir -p metajax && tar -xzf metajax.tar.gz -C metajax && BUCKET=$bucket bash metajax/experiments/launch/prepare_host.sh"
train="cd metajax && exec .venv/bin/metajax train gpicl --preset paper --distributed --parallel jit --workdir /bucket/$run --no-progress"

until finished; do
  get_slice
  code=0
  {
    gcloud compute tpus tpu-vm scp "$archive" "$name":metajax.tar.gz "${where[@]}" --worker all &&
      on_all "$prepare" && on_all "$train"
  } || code=$?
  if [ "$code" -eq 0 ] || finished; then continue; fi
  sleep 60 # a slice that was taken away says so a little later
  # 75: stopped with the state saved, run the same command again; 255: ssh lost its host
  if [ "$(state)" = ACTIVE ] && [ "$code" -ne 75 ] && [ "$code" -ne 255 ]; then
    echo "the run failed with exit code $code; the slice is kept: look, then delete $name" >&2
    exit "$code"
  fi
done
delete
