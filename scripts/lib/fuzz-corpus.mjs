// Which of many fuzzing inputs are worth keeping: few that reach most of the code.

/** `STARTED 3 120` names an input by its place in the list, `FT 3 5 8 13` what it reaches: libFuzzer's notes on a merge. */
export function readMergeNotes(text) {
  const lines = text.split("\n");
  const count = Number(lines[0]);
  const reached = new Map();
  for (const line of lines.slice(2 + count)) {
    if (!line.startsWith("FT ")) continue;
    const [place, ...edges] = line.slice("FT ".length).trim().split(" ").map(Number);
    reached.set(place, edges);
  }
  return lines.slice(2, 2 + count).map((path, place) => ({ path, edges: reached.get(place) ?? [] }));
}

/**
 * Of `inputs` (each `{ family, bytes, edges }`) first one of each of `families`, the one that reaches most, then whichever adds most
 * edges, the smaller one of equals, until none adds any or there are `most`. A family without an input is an error.
 */
export function fewest(inputs, families, most) {
  const reached = new Set();
  const chosen = [];
  const adds = ({ edges }) => edges.reduce((sum, edge) => sum + (reached.has(edge) ? 0 : 1), 0);
  const isBetter = (one, other) => !other || one.adds > other.adds || (one.adds === other.adds && one.input.bytes < other.input.bytes);
  const take = (input) => {
    chosen.push(input);
    for (const edge of input.edges) reached.add(edge);
  };
  for (const family of families) {
    const best = inputs
      .filter((input) => input.family === family)
      .map((input) => ({ input, adds: input.edges.length }))
      .reduce((best, one) => (isBetter(one, best) ? one : best), undefined);
    if (!best) throw new Error(`No input of the family ${family}.`);
    take(best.input);
  }
  // What an input adds only ever shrinks: what it added when it was last asked is the most that it can add now.
  let rest = inputs.filter((input) => !chosen.includes(input)).map((input) => ({ input, adds: input.edges.length }));
  while (chosen.length < most && rest.length > 0) {
    rest.sort((one, other) => other.adds - one.adds || one.input.bytes - other.input.bytes);
    let best;
    for (const one of rest) {
      if (best && one.adds < best.adds) break;
      one.adds = adds(one.input);
      if (isBetter(one, best)) best = one;
    }
    if (best.adds === 0) break;
    take(best.input);
    rest = rest.filter((one) => one !== best && one.adds > 0);
  }
  return chosen;
}
