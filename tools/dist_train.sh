#!/usr/bin/env bash
# tools/dist_train.sh CONFIG GPUS [options of: aligndet train]
# Several nodes: NNODES, NODE_RANK, MASTER_ADDR and PORT in the environment, as with mmdet.
set -euo pipefail
config=$1 gpus=$2
shift 2
export OMP_NUM_THREADS="${OMP_NUM_THREADS:-1}"  # what torchrun would set, with a warning
exec "${PYTHON:-python}" -m torch.distributed.run \
    --nnodes="${NNODES:-1}" --node_rank="${NODE_RANK:-0}" \
    --master_addr="${MASTER_ADDR:-127.0.0.1}" --master_port="${PORT:-29500}" \
    --nproc_per_node="$gpus" \
    "$(dirname "$0")/train.py" "$config" --launcher pytorch "$@"
