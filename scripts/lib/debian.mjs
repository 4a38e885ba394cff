// Debian's packages, where this is Debian and we may install them.

import { existsSync } from "node:fs";
import { output, step } from "./steps.mjs";

const APT = ["-o", "DPkg::Lock::Timeout=300", "-o", "APT::Sandbox::User=root"];
const aptEnv = { ...process.env, DEBIAN_FRONTEND: "noninteractive" };

export const isDebianRoot = async () =>
  existsSync("/etc/debian_version") && process.getuid?.() === 0 && (await output("apt-get", ["--version"])) !== null;

export const apt = (label, args, options = {}) =>
  step(label, "apt-get", [...APT, ...args], {
    env: aptEnv,
    hint: "Check that apt works here (`apt-get update`), then run the same command again.",
    ...options,
  });
