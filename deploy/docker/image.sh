#!/bin/sh
# Lays out what the image is made of: image.sh FOLDER
#
# The program is built here and not in the image, so that making the image needs no network and no other image. VERSION is what the program calls itself; CERTIFICATES
# is the file of those whose certificates it trusts.
set -eu
if [ $# -ne 1 ]; then
	echo "usage: image.sh FOLDER" >&2
	exit 2
fi
mkdir -p "$1/state"
folder=$(cd "$1" && pwd)
certificates=${CERTIFICATES:-/etc/ssl/certs/ca-certificates.crt}
if [ ! -f "$certificates" ]; then
	echo "image.sh: there is no file $certificates; install ca-certificates, or name another file in CERTIFICATES" >&2
	exit 1
fi
cp "$certificates" "$folder/ca-certificates.crt"
cd "$(dirname "$0")/../.."
cp deploy/docker/Dockerfile "$folder/Dockerfile"
CGO_ENABLED=0 go build -trimpath -ldflags "-s -w${VERSION:+ -X main.version=$VERSION}" -o "$folder/setpoint" ./cmd/setpoint
