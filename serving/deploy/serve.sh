#!/usr/bin/env bash
# Start a model server on MODEL_NAME below MODEL_BASE_PATH (/models).
#
#   serve.sh tensorflow_model_server [--flag=value ...]
#   serve.sh python -m serving.server [--flag=value ...]
#
# The words before the first flag are the server. An export may hold the flags that were measured
# for it, one a line, in assets.extra/tensorflow_model_server.flags; those of the newest version are
# taken, and file names in them lie beside them. Flags given here come last and win.
set -euo pipefail

server=()
while (($#)) && [[ $1 != --* ]]; do
    server+=("$1")
    shift
done
base="${MODEL_BASE_PATH:-/models}/${MODEL_NAME:?say which model: -e MODEL_NAME=support}"

newest=-1
for folder in "$base"/*/; do
    number="$(basename "$folder")"
    if [[ $number =~ ^[0-9]+$ ]] && ((10#$number > newest)); then
        newest=$((10#$number)) extra="${folder}assets.extra"
    fi
done

measured=()
if ((newest >= 0)) && [[ -f $extra/tensorflow_model_server.flags ]]; then
    while read -r line || [[ -n $line ]]; do
        case $line in
        '' | '#'*) ;;
        --*_file=/*) measured+=("$line") ;;
        --*_file=?*) measured+=("${line%%=*}=$extra/${line#*=}") ;;
        --*) measured+=("$line") ;;
        *)
            echo "$extra/tensorflow_model_server.flags has a line that is no flag: $line" >&2
            exit 2
            ;;
        esac
    done <"$extra/tensorflow_model_server.flags"
fi

# The server takes this process' place: signals reach it.
exec "${server[@]}" --port=8500 --rest_api_port=8501 \
    --model_name="$MODEL_NAME" --model_base_path="$base" \
    --monitoring_config_file="$(dirname "${BASH_SOURCE[0]}")/monitoring.config" \
    "${measured[@]}" "$@"
