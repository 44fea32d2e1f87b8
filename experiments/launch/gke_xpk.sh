#!/usr/bin/env bash
# GPICL with the paper's settings on a spot slice of 16 TPU v6e chips (4 hosts) in GKE, by xpk.
# From the top folder of the repository:
#   PROJECT=... ZONE=... CLUSTER=... BUCKET=... bash experiments/launch/gke_xpk.sh STEP
# STEP: cluster (once: a cluster with the slice), storage (once: the bucket in it), run, or delete
# (the cluster). Words after STEP go to xpk, e.g. --dry-run.
set -euo pipefail
cd "$(dirname "$0")/../.."
step=${1:?cluster, storage, run or delete}
shift
slice=${SLICE:-v6e-16} # or v5litepod-16

where=(--project "${PROJECT:?}" --zone "${ZONE:?}" --cluster "${CLUSTER:?}")

# bash hands SIGTERM on to what it has become, not to its children: exec
command='bash experiments/launch/prepare_host.sh && exec .venv/bin/metajax train gpicl --preset paper --distributed --parallel jit --workdir /bucket/gpicl-paper --no-progress'

case $step in
  cluster)
    xpk cluster create "${where[@]}" --tpu-type "$slice" --num-slices 1 --spot \
      --enable-workload-identity --enable-gcsfuse-csi-driver "$@"
    ;;
  storage)
    # Orbax ends a save by renaming a folder; and no host may be shown what was there a minute ago
    xpk storage attach metajax-bucket "${where[@]}" --type gcsfuse --bucket "${BUCKET:?}" \
      --mount-point /bucket --readonly false --auto-mount false --size 1 \
      --mount-options "implicit-dirs,rename-dir-limit=10000,metadata-cache:ttl-secs:0" "$@"
    ;;
  run)
    # 75: stopped by SIGTERM with the state saved. The grace is for that last checkpoint.
    xpk workload create "${where[@]}" --workload "${WORKLOAD:-gpicl-paper}" --tpu-type "$slice" \
      --num-slices 1 --spot --base-docker-image python:3.12 --script-dir . --storage metajax-bucket \
      --command "$command" --max-restarts 100 --restart-on-exit-codes 75 \
      --termination-grace-period-seconds 120 "$@"
    ;;
  delete)
    xpk cluster delete "${where[@]}" "$@"
    ;;
  *)
    echo "STEP is cluster, storage, run or delete, not $step" >&2
    exit 2
    ;;
esac
