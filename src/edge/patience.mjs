// How long is waited for what comes in pieces: bodies of requests and of answers.

/**
 * Watches something that comes in pieces. Calls `late` once, where a piece that is waited for doesn't come within `idleSeconds`, or all of
 * it isn't over within `seconds`. `begin`: a piece is waited for; `pause`: none is, somebody else is slow.
 */
export function watch(idleSeconds, seconds, late) {
  const end = Date.now() + seconds * 1000;
  let since = Infinity;
  const watched = {
    isLate: false,
    begin() {
      since = Date.now();
    },
    pause() {
      since = Infinity;
    },
    end: () => clearInterval(timer),
  };
  // One timer for all pieces: setting one for each costs as much as passing it.
  const timer = setInterval(() => {
    const now = Date.now();
    if (now < end && now - since < idleSeconds * 1000) return;
    watched.isLate = true;
    clearInterval(timer);
    late();
  }, Math.min(1000, idleSeconds * 25));
  return watched;
}
