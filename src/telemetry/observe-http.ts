// Counts requests by route. This runs for every request: cells are looked up by texts that V8 has hashed already.

import type { Cell, HistogramCell } from './instruments.ts'
import { OTHER, type Metrics } from './metrics.ts'

/** A route of the gateway, as metrics know it. */
export interface ObservedRoute {
  /** In lower case. */
  readonly method: string
  /** The template: `/v1/streams/:id`. */
  readonly path: string
  /** Most requests are for it. */
  readonly isHot?: boolean
}

export type CountAnswer = (route: string | undefined, method: string, status: number, startedAt: number) => void

/** Neither probes nor pages. */
const API = '/v1/'

/** A client may send any method. */
const METHODS: ReadonlySet<string> = new Set(['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'])

/**
 * Start at 0: `rate()` misses the first event of a series that starts at 1. The other series start with their first event:
 * there are many, most of them of routes that nobody asks.
 */
const OF_ALL = [200]
const OF_HOT = [200, 400, 401, 404, 429, 500, 502, 503, 504]

/** @returns a function to call once for each request, when the head of its response is known */
export function observeHttp(metrics: Metrics, routes: readonly ObservedRoute[]): CountAnswer {
  const known = new Map<string, Map<string, RouteCells>>()

  function cellsOf(route: string, method: string): RouteCells {
    let methods = known.get(route)
    if (!methods) known.set(route, (methods = new Map()))
    let cells = methods.get(method)
    if (!cells) methods.set(method, (cells = new RouteCells(metrics, route, method)))
    return cells
  }

  for (const { method, path, isHot = false } of routes) {
    const cells = cellsOf(path, method.toUpperCase())
    cells.isTimed = path.startsWith(API)
    for (const status of isHot ? OF_HOT : OF_ALL) cells.of(status)
    if (isHot) cells.timeToHead()
  }

  return (route = OTHER, method, status, startedAt) => {
    const cells = known.get(route)?.get(method) ?? cellsOf(route, METHODS.has(method) ? method : OTHER)
    cells.of(status).add()
    if (cells.isTimed) cells.timeToHead().observe((performance.now() - startedAt) / 1000)
  }
}

class RouteCells {
  isTimed = false
  #duration: HistogramCell | undefined
  readonly #metrics: Metrics
  readonly #labels: { route: string; method: string }
  readonly #byStatus = new Map<number, Cell>()

  constructor(metrics: Metrics, route: string, method: string) {
    this.#metrics = metrics
    this.#labels = { route, method }
  }

  of(status: number): Cell {
    let cell = this.#byStatus.get(status)
    if (!cell) {
      cell = this.#metrics.cell('http_requests_total', { ...this.#labels, status: String(status) })
      this.#byStatus.set(status, cell)
    }
    return cell
  }

  timeToHead(): HistogramCell {
    return (this.#duration ??= this.#metrics.histogram('http_time_to_head_seconds', this.#labels))
  }
}
