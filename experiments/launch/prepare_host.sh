#!/usr/bin/env bash
# Prepare one TPU host, from the top folder of a copy of this repository: metajax with JAX for TPUs
# in .venv, and the images that the paper's preset trains on. Run again, it is quick.
#   BUCKET=my-bucket bash experiments/launch/prepare_host.sh   also mounts gs://my-bucket on /bucket
set -euo pipefail
cd "$(dirname "$0")/../.."

if [ -n "${BUCKET:-}" ] && ! mountpoint -q /bucket; then
  if ! command -v gcsfuse >/dev/null; then
    key=/usr/share/keyrings/cloud.google.asc
    curl -fsSL https://packages.cloud.google.com/apt/doc/apt-key.gpg | sudo tee "$key" >/dev/null
    echo "deb [signed-by=$key] https://packages.cloud.google.com/apt gcsfuse-$(lsb_release -cs) main" |
      sudo tee /etc/apt/sources.list.d/gcsfuse.list >/dev/null
    sudo apt-get update -qq
    sudo apt-get install -y -qq gcsfuse
  fi
  sudo mkdir -p /bucket
  sudo chown "$(id -u)" /bucket
  # Orbax ends a save by renaming a folder; and no host may be shown what was there a minute ago
  gcsfuse --implicit-dirs --rename-dir-limit 10000 --metadata-cache-ttl-secs 0 "$BUCKET" /bucket
fi

# the images of TPU hosts have Python 3.10; uv brings a newer one
python3 -m pip --version >/dev/null 2>&1 || { sudo apt-get update -qq && sudo apt-get install -y -qq python3-pip; }
python3 -m pip install -q --user uv
python3 -m uv venv -q --allow-existing --python 3.12 .venv
python3 -m uv pip install -q --python .venv/bin/python . 'jax[tpu]'

# on the host's own disk: each process reads its own copy
.venv/bin/metajax data prepare fashion_mnist
