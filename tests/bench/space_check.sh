#!/usr/bin/env bash
# Starts the app as a Hugging Face Space does: from a copy of what is committed, in an environment
# that has nothing but requirements.txt, by the launcher and with a Space's variables. By hand, from
# the root: tests/bench/space_check.sh
set -euo pipefail
cd "$(dirname "$0")/../.."

folder=$(mktemp -d)
pid=
trap '[ -z "$pid" ] || kill "$pid" 2>/dev/null; wait; rm -rf "$folder"' EXIT
git archive HEAD | tar -x -C "$folder"
cd "$folder"
python3 -m venv .venv
unset PYTHONDONTWRITEBYTECODE
.venv/bin/pip install --quiet --disable-pip-version-check -r requirements.txt

# A Space listens on 0.0.0.0; a check listens on loopback, where strangers have a page only with a token.
SYSTEM=spaces SPACE_ID=orchard/fruit SPACE_HOST=orchard-fruit.hf.space SPACE_AUTHOR_NAME=orchard \
    GRADIO_SERVER_NAME=127.0.0.1 GRADIO_SERVER_PORT=0 FRUIT_ADMIN_TOKEN=a-check-on-loopback \
    .venv/bin/python space.py >out 2>err &
pid=$!
for _ in $(seq 600); do
    grep -q "Running on" out && break
    kill -0 "$pid" || { cat err; exit 1; }
    sleep 0.1
done
url=$(sed -n 's/^Running on \([^ ]*\).*/\1/p' out)

outside=(-H "X-Forwarded-Host: orchard-fruit.hf.space" -H "X-Forwarded-Proto: https")
echo "health   $(curl -fsS "$url/api/health")"
curl -fsS "${outside[@]}" -o page "$url/"
echo "page     $(wc -c <page) bytes"
echo "root     $(curl -fsS "${outside[@]}" "$url/config" | .venv/bin/python -c 'import json, sys; print(json.load(sys.stdin)["root"])')"
example=$(ls var/examples/* | head -n 1)
echo "predict  $example: $(curl -fsS -F "file=@$example" "$url/api/predict" | head -c 120)"
echo "mirror   $(curl -fsS "$url/api/status" | .venv/bin/python -c 'import json, sys; print(json.load(sys.stdin)["mirror"]["note"])')"
kill -TERM "$pid"
wait "$pid" && status=0 || status=$?
pid=
echo "ended    with status $status (143: by the signal, after a graceful stop)"
cat err
[ "$status" = 143 ]
