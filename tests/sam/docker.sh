#!/usr/bin/env bash
# Gives a Debian machine that has none a Docker engine, and an image for `sam local invoke`: for CI. It needs root, and
# keeps its files in the directory that it is given; the engine's process id is there in dockerd.pid. Where Amazon's
# image cannot be pulled, a bare Debian is put in its place: the functions need nothing of it but the C library.
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
    echo "$image: a bare Debian in its place"
fi
