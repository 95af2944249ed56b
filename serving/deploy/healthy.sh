#!/usr/bin/env bash
# Whether a version of MODEL_NAME answers, asked over REST with nothing but bash: the image of
# TensorFlow Serving has no curl. TensorFlow Serving itself has no health path.
set -euo pipefail

exec 3<>"/dev/tcp/127.0.0.1/${REST_PORT:-8501}"
printf 'GET /v1/models/%s HTTP/1.0\r\nHost: localhost\r\n\r\n' "$MODEL_NAME" >&3
grep -q '"AVAILABLE"' <&3
