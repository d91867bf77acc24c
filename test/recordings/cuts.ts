const MAX_CUTS = 60

/** Random byte offsets, the same for the same seed. */
export function cutsOf(seed: string, length: number): number[] {
  const random = randomOf(seed)
  return Array.from({ length: 1 + Math.floor(random() * MAX_CUTS) }, () => Math.floor(random() * length))
}

/** Mulberry32, seeded with a hash (FNV-1a) of the text. */
function randomOf(seed: string): () => number {
  let state = 2_166_136_261
  for (const character of seed) state = Math.imul(state ^ character.codePointAt(0)!, 16_777_619)
  return () => {
    state = (state + 0x6d_2b_79_f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296
  }
}
