#!/bin/sh
# A picture, and then that picture made over. With --fail-with-body (curl 7.76 or later) curl's exit code is 22 where
# the bridge answers with an error; the file is then the JSON that says what is wrong.
set -eu
url=${BRIDGE_URL:-http://127.0.0.1:8189}
key=${COMFYBRIDGE_API_KEY:-}

ask() { # the name of the file to save; then options for curl
    file=$1
    shift
    code=0
    curl -sS --fail-with-body -o "$file.new" -H 'Accept: image/*' ${key:+-H "X-API-Key: $key"} "$url/generate" "$@" || code=$?
    if [ "$code" != 0 ]; then
        [ "$code" != 22 ] || cat "$file.new" >&2
        rm -f "$file.new"
        exit 1
    fi
    mv "$file.new" "$file"
    echo "$file"
}

ask cat.png -d '{"prompt": "a cat", "steps": 12, "seed": 7}'
ask over.png -F workflow=img2img -F prompt='a cat in the snow' -F steps=12 -F image=@cat.png
