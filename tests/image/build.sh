#!/bin/bash
# Builds gradienthub/demo:dev, the notebook image of the tests, without an image registry: a minimal Debian of our own is the base.
#
#   BASE_IMAGE=python:3.12-slim tests/image/build.sh    uses an image the engine already has (or can pull) instead
#
# Safe to call before every test run: it returns at once while the recipe has not changed.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
demo=$(cd "$here/../../gradienthub/cli/demo" && pwd)
image=gradienthub/demo:dev
own_base=gradienthub/base:dev
suite=bookworm
packages=python3,python3-venv,ca-certificates,tini

# Two builds at once would do the same minutes of work twice, on the same cores; the second waits here and then finds it done.
exec 9<"$here/build.sh"
flock 9

label_of() { # image, label: its value, or nothing where image or label are missing
  docker image inspect --format "{{ index .Config.Labels \"$2\" }}" "$1" 2>/dev/null || true
}

recipe=$(cat "$demo/Dockerfile" "$here/build.sh" - <<<"${BASE_IMAGE:-}" | sha256sum | cut -d' ' -f1)
if [[ $(label_of "$image" gradienthub.recipe) == "$recipe" ]]; then
  echo "$image is up to date"
  exit 0
fi

work=$(mktemp -d)
clean_up() {
  # An interrupted debootstrap leaves these mounted, and rm must not walk into them.
  umount -q "$work/root/proc" "$work/root/sys" 2>/dev/null || true
  rm -rf --one-file-system "$work"
}
trap clean_up EXIT

base=${BASE_IMAGE:-}
if [[ -z $base ]]; then
  base=$own_base
  if [[ $(label_of "$base" gradienthub.base) != "$suite $packages" ]]; then
    if [[ $EUID -ne 0 ]]; then
      echo "debootstrap needs root: run this as root, or name an image with python3 and venv in BASE_IMAGE" >&2
      exit 1
    fi
    # Made by mktemp, the folder is closed to others; as the root of a container it has to be open.
    install --directory --mode=755 "$work/root"
    debootstrap --variant=minbase --include="$packages" "$suite" "$work/root"
    tar --create --directory "$work/root" \
      --exclude='./dev/*' --exclude='./proc/*' --exclude='./sys/*' \
      --exclude='./var/cache/apt/*' --exclude='./var/lib/apt/lists/*' . |
      docker import --change "LABEL gradienthub.base=\"$suite $packages\"" - "$base"
    rm -rf --one-file-system "$work/root"
  fi
fi

mkdir "$work/context"
cp "$demo/Dockerfile" "$work/context/"
# The build happens in a container that trusts only public authorities; this machine's network may have one of its own.
bundle=${SSL_CERT_FILE:-/etc/ssl/certs/ca-certificates.crt}
if [[ -f $bundle ]]; then
  cp "$bundle" "$work/context/ca.crt"
fi

arguments=(--build-arg "BASE=$base")
for name in PIP_INDEX_URL http_proxy https_proxy no_proxy HTTP_PROXY HTTPS_PROXY NO_PROXY; do
  if [[ -n ${!name:-} ]]; then
    arguments+=(--build-arg "$name") # without a value: the engine's client takes it from the environment
  fi
done
docker build --network host --tag "$image" --label "gradienthub.recipe=$recipe" "${arguments[@]}" "$work/context"
