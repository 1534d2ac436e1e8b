#!/usr/bin/env bash
# Finds the program, and becomes it. A binary that was given; or one built from source, when that was asked for; or the release that
# checksums.txt names, from the runner's tool cache or downloaded. Nothing is run whose bytes are not the ones in that table. The bash
# of macOS (3.2) can read it.
set -euo pipefail

action=${GITHUB_ACTION_PATH:?"this is a step of the action, and is started by action.yml"}
table=$action/action/checksums.txt

# Says what is wrong and what to do, as one annotation: what a workflow gave cannot begin a command of its own on a line of its own.
refuse() {
  local said="isobar: $*"
  said=${said//'%'/%25}
  said=${said//$'\r'/%0D}
  said=${said//$'\n'/%0A}
  printf '::error title=isobar::%s\n' "$said"
  exit 1
}

# The platform, in the words of Rust.
target() {
  case "$(uname -s) $(uname -m)" in
    'Linux x86_64') echo x86_64-unknown-linux-musl ;;
    'Linux aarch64' | 'Linux arm64') echo aarch64-unknown-linux-musl ;;
    'Darwin x86_64') echo x86_64-apple-darwin ;;
    'Darwin arm64') echo aarch64-apple-darwin ;;
  esac
}

sha256() {
  if command -v sha256sum >/dev/null; then sha256sum <"$1"; else shasum -a 256 <"$1"; fi | cut -d ' ' -f 1
}

# The first line of the table that fits, as `version sha256 size`; an empty version fits any. What was asked for is compared, and is never a pattern or
# a path.
release() {
  local version name sum size
  while read -r version name sum size; do
    if [ "$name" = "$2" ] && [ "$version" = "${1:-$version}" ]; then
      printf '%s %s %s\n' "$version" "$sum" "$size"
      return
    fi
  done < <(grep -v '^#' "$table")
}

# Whether a file has the $size and the $sum of the table.
is_intact() {
  [ -f "$1" ] && [ "$(wc -c <"$1" | tr -d ' ')" = "$size" ] && [ "$(sha256 "$1")" = "$sum" ]
}

# Only https; plain http to this machine alone, for tests.
download() {
  local proto='=https'
  if [[ $1 =~ ^http://127\.0\.0\.1(:[0-9]+)?/ ]]; then
    proto='=http'
  elif [[ $1 != https://* ]]; then
    refuse "$1 is not https, and nothing else is downloaded from: mend \`download-base-url\`"
  fi
  command -v curl >/dev/null || refuse "there is no curl to download with: install it, or give a program by \`binary\`"
  curl --fail --silent --show-error --location --proto "$proto" --proto-redir '=https' --tlsv1.2 --retry 5 --max-time 120 \
    --max-filesize "$size" --output "$2" "$1" ||
    refuse "$1 cannot be downloaded, see above: give \`download-base-url\`, or a program by \`binary\`"
}

# Brings the release into the tool cache. It lies there under its name only when it is whole and right.
fetch() {
  local from=${INPUT_DOWNLOAD_BASE_URL:-${GITHUB_SERVER_URL:-https://github.com}/${ISOBAR_ACTION_REPOSITORY:-${GITHUB_REPOSITORY:-}}/releases/download}
  mkdir -p "${bin%/*}" || refuse "the tool cache cannot be written: give a program by \`binary\`"
  coming=$(mktemp "${bin%/*}/.coming.XXXXXX")
  trap 'rm -f "$coming"' EXIT
  download "${from%/}/v$version/isobar-$version-$target" "$coming"
  is_intact "$coming" ||
    refuse "what came from $from is not isobar $version: $(wc -c <"$coming" | tr -d ' ') bytes with sha256 $(sha256 "$coming"), and $table says $size bytes with $sum. It was not kept; try again, and if it stays so, tell whoever serves it"
  chmod 755 "$coming"
  mv -f "$coming" "$bin"
  trap - EXIT
}

# In its own folder: where the checkout is, a pull request's `.cargo/config.toml` would have a say. Without the secrets of the step: a build runs
# programs of every package.
build() {
  command -v cargo >/dev/null || refuse "there is no cargo to build with: install the Rust toolchain before this step, or leave out \`build-from-source\`"
  local into="${RUNNER_TEMP:-/tmp}/isobar-build"
  (
    cd "$action" || exit 1
    unset GITHUB_TOKEN ISOBAR_KEY ISOBAR_ORG_TOKEN ACTIONS_ID_TOKEN_REQUEST_TOKEN ACTIONS_RUNTIME_TOKEN
    exec cargo build --locked --release --bin isobar --target-dir "$into"
  ) ||
    refuse "isobar cannot be built from source, see above"
  bin=$into/release/isobar
}

case ${INPUT_VERIFY:=checksum} in
  checksum) ;;
  attestation)
    if [ -n "${INPUT_BINARY:-}" ] || [ "${INPUT_BUILD_FROM_SOURCE:-}" = true ]; then
      refuse "\`verify: attestation\` is about a release, and a program of your own has none: leave out one of the two"
    fi
    ;;
  *) refuse "\`verify\` is $INPUT_VERIFY, and can be checksum or attestation" ;;
esac
case ${INPUT_BUILD_FROM_SOURCE:=false} in
  true | false) ;;
  *) refuse "\`build-from-source\` is $INPUT_BUILD_FROM_SOURCE, and can be true or false" ;;
esac

if [ -n "${INPUT_BINARY:-}" ]; then
  bin=$INPUT_BINARY
  [[ $bin == */* ]] || bin=./$bin # a path, never a name to be looked up
  if [ ! -f "$bin" ] || [ ! -x "$bin" ]; then
    refuse "\`binary\` is $bin, and no program is there: give a path from the root of the checkout, or a whole one"
  fi
elif [ "$INPUT_BUILD_FROM_SOURCE" = true ]; then
  build
else
  target=$(target)
  [ -n "$target" ] ||
    refuse "there are no releases for $(uname -s) on $(uname -m): give a program by \`binary\`, or \`build-from-source: true\`"
  wanted=${INPUT_VERSION:-}
  read -r version sum size <<<"$(release "${wanted#v}" "$target")"
  [ -n "$version" ] ||
    refuse "this action knows no release${wanted:+ $wanted} for $target: pin the action at one that does (its action/checksums.txt names them), or give a program by \`binary\`, or \`build-from-source: true\`"
  bin="${RUNNER_TOOL_CACHE:-${RUNNER_TEMP:-/tmp}}/isobar/$version/$target/isobar"
  is_intact "$bin" || fetch
  if [ "$INPUT_VERIFY" = attestation ]; then
    gh attestation verify "$bin" --repo "${ISOBAR_ACTION_REPOSITORY:-${GITHUB_REPOSITORY:-}}" ||
      refuse "nobody attests that isobar $version was built by its own workflow, see above"
  fi
fi

exec "$bin" action
