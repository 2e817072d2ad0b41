#!/bin/sh
# Makes the npm package: npm/engine.wasm and npm/engine.js. Needs the target (`rustup target add wasm32-unknown-unknown`) and the
# wasm-bindgen of the library's own version (this script says how to get it). The module is smaller where there are a nightly toolchain
# with its sources (`rustup component add rust-src --toolchain nightly`) and wasm-opt of binaryen (`npm install -g binaryen`).
set -eu
cd "$(dirname "$0")/../.."

target=${CARGO_TARGET_DIR:-target}
version=$(sed -n '/^name = "wasm-bindgen"$/{n;s/^version = "\(.*\)"/\1/p;}' Cargo.lock)
if [ "$(wasm-bindgen --version 2>/dev/null || true)" != "wasm-bindgen $version" ]; then
  echo "wasm-bindgen $version is not there: cargo install wasm-bindgen-cli --version $version" >&2
  exit 1
fi

build() {
  cargo "$@" --locked --package attar-wasm --lib --crate-type cdylib --profile wasm --target wasm32-unknown-unknown
}
flags="-C target-feature=+simd128"
# A standard library made for size, without the messages of panics, which no browser shows. The features are of nightly compilers.
nightly=$(rustc +nightly --print sysroot 2>/dev/null || true)
if [ -n "$nightly" ] && [ -d "$nightly/lib/rustlib/src/rust/library" ]; then
  RUSTFLAGS="$flags -Z unstable-options -C panic=immediate-abort" build +nightly rustc \
    -Z build-std=std,panic_abort -Z build-std-features=optimize_for_size
else
  echo "no nightly toolchain with rust-src: the module stays larger (rustup component add rust-src --toolchain nightly)" >&2
  RUSTFLAGS=$flags build rustc
fi

made=$target/wasm32-unknown-unknown/wasm
rm -rf "$made/bound"
wasm-bindgen --target web --no-typescript --remove-name-section --remove-producers-section \
  --out-dir "$made/bound" --out-name engine "$made/attar_wasm.wasm"
if command -v wasm-opt >/dev/null; then
  wasm-opt -O3 --enable-simd --enable-bulk-memory --enable-nontrapping-float-to-int --enable-sign-ext \
    --enable-mutable-globals --enable-reference-types --enable-multivalue \
    "$made/bound/engine_bg.wasm" -o "$made/bound/smaller.wasm"
  mv "$made/bound/smaller.wasm" "$made/bound/engine_bg.wasm"
else
  echo "no wasm-opt: the module stays a tenth larger" >&2
fi
cp "$made/bound/engine_bg.wasm" crates/wasm/npm/engine.wasm
sed 's/engine_bg\.wasm/engine.wasm/' "$made/bound/engine.js" >crates/wasm/npm/engine.js
printf '%s bytes of WebAssembly, %s packed by gzip\n' \
  "$(wc -c <crates/wasm/npm/engine.wasm)" "$(gzip -9 <crates/wasm/npm/engine.wasm | wc -c)"
