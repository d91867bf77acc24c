export function median(values: readonly number[]): number {
  return quantile(values, 0.5)
}

/** Round by round, since figures drift from one round to the next; of medians when rounds are missing. */
export function medianRatio(values: readonly number[], to: readonly number[]): number {
  if (values.length !== to.length) return median(values) / median(to)
  return median(values.map((value, round) => value / to[round]!))
}

export function quantile(values: readonly number[], share: number): number {
  if (values.length === 0) return NaN
  const sorted = values.toSorted((a, b) => a - b)
  const place = (sorted.length - 1) * share
  const below = sorted[Math.floor(place)]!
  const above = sorted[Math.ceil(place)]!
  return below + (above - below) * (place - Math.floor(place))
}

/** The median, and between which values it is the median. */
export function spread(values: readonly number[], digits = 1): string {
  if (values.length === 0) return '–'
  const [middle, least, most] = [median(values), Math.min(...values), Math.max(...values)].map((value) =>
    number(value, digits),
  )
  return values.length === 1 ? `${middle}` : `${middle} (${least}–${most})`
}

export function number(value: number, digits = 1): string {
  if (!Number.isFinite(value)) return '–'
  return value.toLocaleString('en-US', { minimumFractionDigits: digits, maximumFractionDigits: digits })
}

export function percent(share: number): string {
  return `${number(share * 100, 0)} %`
}
