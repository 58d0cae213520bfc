#!/usr/bin/env bash
# tools/slurm_train.sh PARTITION JOB_NAME CONFIG WORK_DIR [options of: aligndet train]
# GPUS, GPUS_PER_NODE, CPUS_PER_TASK and SRUN_ARGS in the environment, as with mmdet.
# WARN_SECONDS (300) before the time limit, slurm sends USR1: the run finishes its step, saves and ends, and this
# script puts it into the queue again, where it goes on. In a batch job, ask for the signal there, too:
#     sbatch --requeue --signal=USR1@300 ... tools/slurm_train.sh ...
set -euo pipefail
partition=$1 job=$2 config=$3 work_dir=$4
shift 4
gpus=${GPUS:-8}
per_node=${GPUS_PER_NODE:-$((gpus < 8 ? gpus : 8))}
resume=()
while true; do
    # shellcheck disable=SC2086  # SRUN_ARGS is meant to be split
    srun -p "$partition" --job-name="$job" --gres="gpu:$per_node" \
        --ntasks="$gpus" --ntasks-per-node="$per_node" --cpus-per-task="${CPUS_PER_TASK:-5}" \
        --kill-on-bad-exit=1 --signal="USR1@${WARN_SECONDS:-300}" ${SRUN_ARGS:-} \
        "${PYTHON:-python}" -u "$(dirname "$0")/train.py" "$config" \
        --work-dir="$work_dir" --launcher=slurm "$@" "${resume[@]}" <&0 &
    step=$!
    for name in TERM INT USR1; do
        trap 'kill -'$name' "$step" 2>/dev/null || true' "$name"
    done
    while true; do  # a trap ends a wait before the step has ended
        code=0
        wait "$step" || code=$?
        kill -0 "$step" 2>/dev/null || break
    done
    trap - TERM INT USR1
    if [[ $code -ne 0 || ! -e $work_dir/.requeue ]]; then  # the run leaves it when it saved because of USR1
        exit "$code"
    fi
    if [[ -n ${SLURM_JOB_ID:-} ]]; then
        exec scontrol requeue "$SLURM_JOB_ID"  # a job that slurm starts again goes on by itself
    fi
    resume=(--resume)
done
