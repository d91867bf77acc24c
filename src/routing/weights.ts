/** A number in [0, 1). */
export type Random = () => number

/**
 * All items, in the order in which they come when one after the other is drawn by weight and not put back: each gets
 * an arrival time that is exponential with its weight as the rate, and the times are sorted.
 */
export function drawOrder<T extends { readonly weight: number }>(items: readonly T[], random: Random): T[] {
  return items
    .map((item) => ({ item, arrival: -Math.log(1 - random()) / item.weight }))
    .toSorted((a, b) => a.arrival - b.arrival)
    .map(({ item }) => item)
}
