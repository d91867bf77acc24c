import type { Unit } from '../panel.ts'

/** From values to places. */
export type Scale = (value: number) => number

export function linear([from, to]: readonly [number, number], [first, last]: readonly [number, number]): Scale {
  return (value) => first + ((value - from) / (to - from || 1)) * (last - first)
}

/** Three to six round numbers from 0 to at least `max`. */
export function ticks(max: number, unit: Unit): number[] {
  const base = unit === 'bytes' || unit === 'binBps' ? 1024 : 10
  const rough = (max || 1) / 4
  const magnitude = base ** Math.floor(Math.log(rough) / Math.log(base))
  const steps = base === 1024 ? [1, 2, 5, 10, 20, 50, 100, 200, 500, 1024] : [1, 2, 2.5, 5, 10]
  const step = (steps.find((each) => each * magnitude >= rough) ?? base) * magnitude
  return Array.from({ length: Math.ceil((max || 1) / step - 1e-9) + 1 }, (_, index) => index * step)
}

export function format(value: number, unit: Unit): string {
  switch (unit) {
    case 's':
      return value === 0 ? '0' : value < 1 ? `${round(value * 1000)} ms` : `${round(value)} s`
    case 'percentunit':
      return `${round(value * 100)} %`
    case 'bytes':
      return binary(value)
    case 'binBps':
      return `${binary(value)}/s`
    case 'suffix:/s':
      return `${round(value)}/s`
    case 'short':
      return round(value)
  }
}

function binary(value: number): string {
  const power = value < 1024 ? 0 : Math.min(3, Math.floor(Math.log2(value) / 10))
  return `${round(value / 1024 ** power)} ${['B', 'KiB', 'MiB', 'GiB'][power]}`
}

/** Three digits are enough to read. */
function round(value: number): string {
  return String(Number(value.toPrecision(3)))
}
