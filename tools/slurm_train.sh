#!/usr/bin/env bash
# tools/slurm_train.sh PARTITION JOB_NAME CONFIG WORK_DIR [options of train.py]
# GPUS, GPUS_PER_NODE (0: CPUs only), CPUS_PER_TASK, PORT, PYTHON and SRUN_ARGS are read from the environment.
set -euo pipefail
if [ $# -lt 4 ]; then
    echo "usage: $0 PARTITION JOB_NAME CONFIG WORK_DIR [options of train.py]" >&2
    exit 2
fi
partition=$1
job=$2
config=$3
work_dir=$4
shift 4
tasks=${GPUS:-4}
per_node=${GPUS_PER_NODE:-4}
gres=()
tasks_per_node=$tasks
if [ "$per_node" -gt 0 ]; then
    gres=(--gres="gpu:$per_node")
    tasks_per_node=$per_node
fi
export MASTER_PORT=${PORT:-29500}
# Each task asks Slurm for the first host of the job, where the processes connect.
# shellcheck disable=SC2016,SC2086
exec srun -p "$partition" --job-name="$job" "${gres[@]}" --ntasks="$tasks" \
    --ntasks-per-node="$tasks_per_node" --cpus-per-task="${CPUS_PER_TASK:-5}" \
    --kill-on-bad-exit=1 ${SRUN_ARGS:-} \
    bash -c 'MASTER_ADDR=${MASTER_ADDR:-$(scontrol show hostnames "$SLURM_JOB_NODELIST" | head -n 1)} exec "$@"' \
    train "${PYTHON:-python}" -u "$(dirname "$0")/train.py" "$config" --work-dir "$work_dir" --launcher slurm "$@"
