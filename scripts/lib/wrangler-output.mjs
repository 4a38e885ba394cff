// What of `wrangler dev`'s output a person should see: errors, and what its build command says. The rest goes to the log.

const ANSI = /\x1b\[[0-9;]*m/g;
const BUILD = /^\[custom build\] ?(.*)$/;
/** Said each time, or said again by wrangler about a build that has just explained itself. */
const KNOWN = /^(Running: |Nothing changed|$)|Process exited with non-zero status|Scheduled Workers are not automatically triggered|Running custom build .* failed|Request\.cf/;
const HEADING = /\[(ERROR|WARNING|wrangler:warn|wrangler:error)\]\s*(.*)$/;

/** Returns a function from a line to what to show of it, or null. Keeps in mind whether the line belongs to an error above. */
export function wranglerFilter() {
  let detailsWanted = 0;
  return (raw) => {
    const line = raw.replace(ANSI, "").trimEnd();
    const build = line.match(BUILD);
    if (build) return KNOWN.test(build[1]) ? null : build[1];
    const heading = line.match(HEADING);
    if (heading) {
      detailsWanted = KNOWN.test(heading[2]) ? 0 : 1;
      return detailsWanted ? heading[2] : null;
    }
    // The line below an error's heading often holds its reason; the stack below that is in the log.
    if (detailsWanted > 0 && line.trim() && /^\s/.test(line)) {
      detailsWanted -= 1;
      return /^\s+at /.test(line) ? null : `  ${line.trim()}`;
    }
    return null;
  };
}
