/** A number in [0, 1). */
export type Random = () => number

/**
 * All items in random order, as if drawn one by one by weight without replacement: each gets an exponentially
 * distributed arrival time with its weight as the rate, and the times are sorted.
 */
export function drawOrder<T extends { readonly weight: number }>(items: readonly T[], random: Random): T[] {
  return items
    .map((item) => ({ item, arrival: -Math.log(1 - random()) / item.weight }))
    .toSorted((a, b) => a.arrival - b.arrival)
    .map(({ item }) => item)
}
