#!/bin/sh
# Trains everything that ships; "make weights" calls this. About two hours on two cores.
set -eu
cd "$(dirname "$0")/../.."

train() {  # model task clips epochs [more options]
  model=$1 task=$2 clips=$3 epochs=$4
  shift 4
  out=vxhelpers/weights/$model-$task.safetensors
  [ -e "$out" ] && [ -z "${FORCE:-}" ] && { echo "$out is there; FORCE=1 trains it again"; return; }
  vx train --model "$model" --data "stage:$task" --out "$out" --clips "$clips" --epochs "$epochs" \
    --set bf16=true --threads "${THREADS:-2}" "$@"
}

for task in ${TASKS:-motion static kth tennis shortcut}; do
  case $task in
    motion) clips=3000 epochs=8 ;;
    static) clips=1200 epochs=5 ;;
    kth) clips=2400 epochs=8 ;;
    tennis) clips=2400 epochs=6 ;;
    shortcut) clips=1200 epochs=6 ;;
  esac
  for model in ${MODELS:-stage_r3d stage_c3d stage_i3d}; do
    train "$model" "$task" "$clips" "$epochs"
  done
done
