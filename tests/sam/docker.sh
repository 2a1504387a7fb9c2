#!/usr/bin/env bash
# Starts a Docker engine on a Debian machine that has none, and provides the image for `sam local invoke`. For CI.
#
#   tests/sam/docker.sh DIRECTORY     DIRECTORY receives the engine's files, and its process id in dockerd.pid
#
# It needs root. If Amazon's image cannot be pulled, a minimal Debian image replaces it: the functions need only its C
# library.
set -euo pipefail
directory="$1"
case "$(uname -m)" in x86_64) architecture=x86_64 ;; *) architecture=arm64 ;; esac
image="public.ecr.aws/lambda/provided:al2023-$architecture"

install() { apt-get update -q >/dev/null && apt-get install -qy --no-install-recommends "$@" >/dev/null; }

if ! docker info >/dev/null 2>&1; then
    command -v dockerd >/dev/null || install docker.io iptables
    dockerd --data-root "$directory/docker" --pidfile "$directory/dockerd.pid" >"$directory/dockerd.log" 2>&1 &
    for _ in $(seq 30); do docker info >/dev/null 2>&1 && break || sleep 1; done
    docker info >/dev/null
fi
if ! docker image inspect "$image" >/dev/null 2>&1 && ! docker pull -q "$image" 2>/dev/null; then
    install debootstrap
    debootstrap --variant=minbase --include=ca-certificates bookworm "$directory/root" >/dev/null
    tar -C "$directory/root" -c . | docker import - "$image" >/dev/null
    rm -rf "$directory/root"
    echo "$image cannot be pulled: a minimal Debian image replaces it"
fi
