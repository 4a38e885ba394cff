// Running wrangler so that it asks nothing, reports nothing and decorates nothing.

import { dirname } from "node:path";
import { bin, root } from "./paths.mjs";

export const wrangler = bin("wrangler");
export const wranglerOptions = {
  cwd: root,
  env: {
    ...process.env,
    // Its first line asks the path for a Node, and an older one may stand before ours.
    PATH: `${dirname(bin("node"))}:${process.env.PATH}`,
    CI: "1",
    WRANGLER_SEND_METRICS: "false",
    WRANGLER_HIDE_BANNER: "true",
    NO_COLOR: "1",
    FORCE_COLOR: "0",
  },
};
