// Money is counted in billionths of the currency ("nanos"): sums of whole numbers are exact.

const NANOS = 1e9

export function toNanos(cost: number): number {
  return Math.round(cost * NANOS)
}

/** In the currency of the configured prices. */
export function toCost(nanos: number): number {
  return nanos / NANOS
}

/** Without an exponent. */
export function formatCost(cost: number): string {
  return cost.toFixed(9).replace(/\.?0+$/, '')
}
