#!/bin/sh
# Builds the image for amd64 and arm64 from a release's archives, and pushes it as one.
#
#   packaging/container/push.sh DIRECTORY_OF_ARCHIVES ghcr.io/ccotel/ccotel 0.1.0
#
# Prints `name=…` and `digest=…`, of the index of both. The stage `build` of the Containerfile is
# replaced by the program in the archive, so nothing is compiled, and no step runs in a foreign image.
set -eu
archives=${1:?the directory of the archives}
name=${2:?the name of the image}
version=${3:?its version}
root=$(cd "$(dirname "$0")/../.." && pwd)
work=$(mktemp -d)
builder=ccotel-$$
trap 'docker buildx rm "$builder" >/dev/null 2>&1; rm -rf "$work"' EXIT
docker buildx create --name "$builder" --driver docker-container >/dev/null

# Pushes the image of one architecture, and prints its digest.
push() {
  architecture=$1
  triple=$2
  program=$work/$architecture/src/target/release
  mkdir -p "$program"
  tar -xzf "$archives/ccotel-$triple.tar.gz" -C "$program" --strip-components=2 ccotel/bin/ccotel
  docker buildx build "$root" --builder "$builder" --platform "linux/$architecture" \
    --file "$root/packaging/container/Containerfile" --build-context "build=$work/$architecture" \
    --label "org.opencontainers.image.version=$version" \
    --label "org.opencontainers.image.source=https://github.com/${name#*/}" \
    --provenance=false --metadata-file "$work/$architecture.json" \
    --output "type=image,name=$name,push-by-digest=true,name-canonical=true,push=true" >&2
  jq -er '."containerd.image.digest"' "$work/$architecture.json"
}

amd64=$(push amd64 x86_64-unknown-linux-gnu)
arm64=$(push arm64 aarch64-unknown-linux-gnu)
docker buildx imagetools create --tag "$name:$version" "$name@$amd64" "$name@$arm64" >&2
digest=$(docker buildx imagetools inspect "$name:$version" --format '{{json .Manifest}}' | jq -er .digest)
echo "name=$name"
echo "digest=$digest"
