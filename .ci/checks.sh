# How a check is run and told, for .ci/run and .ci/long. Sourced.

export WRANGLER_SEND_METRICS=false
# What a change leaves as it was isn't compiled again: rustc goes by contents, also in a clean checkout, and what it keeps lies in the
# cache (share_crates). What ships is always compiled whole (scripts/build.mjs).
export CARGO_INCREMENTAL=1

failed=()
told() { # name, seconds, exit code
  if (($3 == 0)); then
    printf '══ %s: ok, %d s\n' "$1" "$2"
  else
    printf '══ %s: FAILED, %d s\n' "$1" "$2"
    failed+=("$1")
  fi
}

check() { # name, command …
  local name=$1 began=$SECONDS code
  shift
  printf '\n══ %s\n' "$name"
  "$@" </dev/null
  code=$?
  told "$name" $((SECONDS - began)) "$code"
}

# Runs a check beside those that come after it; `collect` waits for all of them, and tells each with what it has printed.
besides=()
beside() { # name, command …
  local name=$1 folder
  shift
  folder=$(mktemp -d)
  besides+=("$folder")
  printf '%s' "$name" >"$folder/name"
  (
    began=$SECONDS
    # What the others wait for goes first.
    nice -n 10 "$@" </dev/null >"$folder/output" 2>&1
    echo $? $((SECONDS - began)) >"$folder/outcome"
  ) &
  printf '%s' $! >"$folder/pid"
}

collect() {
  local folder code seconds
  for folder in "${besides[@]}"; do
    wait "$(<"$folder/pid")"
    printf '\n══ %s (beside the others)\n' "$(<"$folder/name")"
    cat "$folder/output"
    read -r code seconds <"$folder/outcome"
    told "$(<"$folder/name")" "$seconds" "$code"
    rm -rf "$folder"
  done
  besides=()
}

# Crates of others are compiled once on this machine, and not in each checkout again; of ours, what has changed.
share_crates() {
  CARGO_BUILD_BUILD_DIR=$(node --input-type=module -e 'import { inCache } from "./scripts/lib/paths.mjs"; console.log(inCache("cargo"))')
  export CARGO_BUILD_BUILD_DIR
}

verdict() {
  echo
  if ((${#failed[@]} > 0)); then printf 'FAILED: %s\n' "${failed[@]}"; fi
}
