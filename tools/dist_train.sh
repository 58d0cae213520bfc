#!/usr/bin/env bash
# tools/dist_train.sh CONFIG GPUS [options of: aligndet train]
# Several nodes: NNODES, NODE_RANK, MASTER_ADDR and PORT in the environment, as with mmdet.
# MAX_RESTARTS=3 starts all processes again when one dies, so often; they go on from the newest checkpoint.
# SIGTERM, SIGINT and SIGUSR1 let them finish the step and save.
set -euo pipefail
config=$1 gpus=$2
shift 2
export OMP_NUM_THREADS="${OMP_NUM_THREADS:-1}"  # what torchrun would set, with a warning
exec "${PYTHON:-python}" -m aligndet.training.launch \
    --nnodes="${NNODES:-1}" --node_rank="${NODE_RANK:-0}" \
    --master_addr="${MASTER_ADDR:-127.0.0.1}" --master_port="${PORT:-29500}" \
    --nproc_per_node="$gpus" --max_restarts="${MAX_RESTARTS:-0}" \
    "$(dirname "$0")/train.py" "$config" --launcher pytorch "$@"
