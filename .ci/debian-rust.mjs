// Debian's way to wasm32-unknown-unknown, for machines where rustup is not there or can fetch nothing, as those that check changes may
// be: Debian's newest rustc, unpacked (not installed: it would take over the name `rustc`) into the cache, and a standard library built
// from the sources that belong to it. `npm run setup` comes here where nothing else has the target (scripts/lib/wasm-target.mjs).

import { cpSync, existsSync, mkdirSync, readdirSync, renameSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { apt } from "../scripts/lib/debian.mjs";
import { withLock } from "../scripts/lib/lock.mjs";
import { cacheDir, inCache, withTemporaryFolder } from "../scripts/lib/paths.mjs";
import { output, say, SetupError, step } from "../scripts/lib/steps.mjs";

const TARGET = "wasm32-unknown-unknown";
const MULTIARCH = { x64: "x86_64-linux-gnu", arm64: "aarch64-linux-gnu" }[process.arch];
const PREFIX = "rust-debian-";

/** Prefixes that were made before, oldest version first. */
export const debianPrefixes = () =>
  existsSync(cacheDir)
    ? readdirSync(cacheDir)
        .filter((name) => name.startsWith(PREFIX))
        .sort((a, b) => a.localeCompare(b, "en", { numeric: true }))
        .map((name) => inCache(name))
    : [];

/** Puts the prefix before the machine's own Rust, and keeps rustup's wrapper and its choices out of it. */
export const debianRustEnv = (prefix) => ({
  PATH: `${join(prefix, "usr", "bin")}:${process.env.PATH}`,
  LD_LIBRARY_PATH: join(prefix, "usr", "lib", MULTIARCH),
  RUSTC: join(prefix, "usr", "bin", "rustc"),
  RUSTC_WRAPPER: "",
});

/** The names that a package depends on, as apt prints them. */
async function dependencies(name) {
  const text = await output("apt-cache", ["depends", name]);
  return [...(text ?? "").matchAll(/^\s*\|?Depends: ([^<\s]+)$/gm)].map((match) => match[1]);
}

async function packagesByRole() {
  const candidate = (await output("apt-cache", ["policy", "rustc-web"]))?.match(/Candidate: (\d\S*)/)?.[1];
  const library = (await dependencies("libstd-rust-web-dev")).find((name) => name.startsWith("libstd-rust-web-"));
  const llvm = (await dependencies(library ?? "")).find((name) => name.startsWith("libllvm"));
  const git = (await dependencies("cargo-web")).find((name) => name.startsWith("libgit2"));
  if (!MULTIARCH || !candidate || !library || !llvm || !git) {
    throw new SetupError(
      `This Debian has no package of Rust that can build ${TARGET} (looked for rustc-web).\n` +
        "  Install Rust with https://rustup.rs on a machine that reaches it, or add the security repository to apt's sources.",
    );
  }
  return {
    version: candidate.split("+")[0],
    installed: [llvm, llvm.replace("libllvm", "lld-"), git, "libc6-dev", "gcc"],
    unpacked: ["rustc-web", "cargo-web", library, "libstd-rust-web-dev", "rust-web-src"],
    lld: `/usr/bin/${llvm.replace("libllvm", "lld-")}`,
  };
}

async function unpack(prefix, packages, folder) {
  const downloads = join(folder, "debs");
  mkdirSync(downloads);
  mkdirSync(prefix);
  await apt("Debian's Rust: download", ["download", ...packages], { cwd: downloads });
  for (const file of readdirSync(downloads)) {
    if ((await output("dpkg", ["-x", join(downloads, file), prefix])) === null) {
      throw new SetupError(`dpkg could not unpack ${file} into ${prefix}: is the disk full?`);
    }
  }
}

/** Builds std with an empty crate and gives the compiler what came out, as if the target had been shipped with it. */
async function buildStd(prefix, folder) {
  const crate = join(folder, "std");
  mkdirSync(join(crate, "src"), { recursive: true });
  writeFileSync(join(crate, "src", "lib.rs"), "");
  writeFileSync(
    join(crate, "Cargo.toml"),
    '[package]\nname = "empty_crate"\nversion = "0.0.0"\nedition = "2021"\n[lib]\ncrate-type = ["cdylib"]\n',
  );
  await step(
    `Debian's Rust: standard library for ${TARGET}, about a minute, once`,
    join(prefix, "usr", "bin", "cargo"),
    ["build", "--release", "-Zbuild-std=std,panic_abort,panic_unwind", "--target", TARGET],
    {
      cwd: crate,
      env: {
        ...process.env,
        ...debianRustEnv(prefix),
        // Debian's compiler is a stable one; building std is an unstable feature.
        RUSTC_BOOTSTRAP: "1",
        // Without bitcode in std, `lto = true` fails with "Can't find section .llvmbc".
        RUSTFLAGS: "-Cembed-bitcode=yes",
        CARGO_TARGET_DIR: join(crate, "target"),
        // Where what came out is looked for, whatever this machine is set to.
        CARGO_BUILD_BUILD_DIR: join(crate, "target"),
        CARGO_TERM_PROGRESS_WHEN: "never",
      },
    },
  );
  const built = join(crate, "target", TARGET, "release", "deps");
  const installed = join(prefix, "usr", "lib", "rustlib", TARGET, "lib");
  mkdirSync(installed, { recursive: true });
  for (const file of readdirSync(built)) {
    if (file.endsWith(".rlib") && !file.includes("empty_crate")) cpSync(join(built, file), join(installed, file));
  }
}

/** Makes the prefix, once; needs root for the three libraries that the compiler is linked to. */
export const makeDebianRust = () =>
  withLock("debian-rust", async () => {
    const made = debianPrefixes();
    if (made.length > 0) return made.at(-1);
    say(`  ${TARGET} comes from Debian's packages, unpacked into ${cacheDir}`);
    await apt("apt-get update", ["update"]);
    const { version, installed, unpacked, lld } = await packagesByRole();
    await apt(`apt-get install ${installed.slice(0, 3).join(" ")}`, [
      "install",
      "-y",
      "--no-install-recommends",
      ...installed,
    ]);
    return withTemporaryFolder("rust-debian", async (folder) => {
      const prefix = join(folder, "prefix");
      await unpack(prefix, unpacked, folder);
      const ours = join(prefix, "usr", "bin", "rust-lld");
      rmSync(ours, { force: true });
      symlinkSync(lld, ours);
      await buildStd(prefix, folder);
      // The sources are half of it and were needed only for that.
      rmSync(join(prefix, "usr", "src"), { recursive: true, force: true });
      const home = inCache(`${PREFIX}${version}`);
      renameSync(prefix, home);
      return home;
    });
  });
