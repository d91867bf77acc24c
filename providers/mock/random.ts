/** Yields numbers in [0, 1). */
export type Random = () => number

/** A small seeded generator of numbers in [0, 1): https://gist.github.com/tommyettinger/46a874533244883189143505d203312c */
export function mulberry32(seed: number): Random {
  let state = seed | 0
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296
  }
}
