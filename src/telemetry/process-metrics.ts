// Metrics of the process: what prom-client measures, and how late the event loop is.

import { collectDefaultMetrics, Registry } from 'prom-client'

let ofProcess: Registry | undefined

/** Adds metrics of CPU, memory, file descriptors and garbage collection, collected once for all registries. */
export function addProcessMetrics(registry: Registry): void {
  ofProcess ??= watchProcess()
  for (const { name } of ofProcess.getMetricsAsArray()) {
    const metric = ofProcess.getSingleMetric(name)
    if (metric) registry.registerMetric(metric)
  }
}

/**
 * Metrics to remove: event loop lag, since each scrape resets it and two scrapers would each see half; and handle
 * counts, since each scrape would iterate over every socket.
 */
const LEFT_OUT = /^nodejs_(eventloop_lag|active)_/

function watchProcess(): Registry {
  const registry = new Registry()
  // The timer behind the lag cannot be left out, so it is set to fire once an hour.
  collectDefaultMetrics({ register: registry, eventLoopMonitoringPrecision: 3_600_000 })
  for (const { name } of registry.getMetricsAsArray()) if (LEFT_OUT.test(name)) registry.removeSingleMetric(name)
  return registry
}

/** Often enough for a quantile over a minute, seldom enough to cost nothing. */
const PERIOD_MS = 50

/**
 * Observes periodically how late a timer fires. Node's own histogram must be reset to be read over time, which works
 * with a single scraper only.
 *
 * @param observe takes the delay, and the time since the last call, in milliseconds
 * @returns a function that stops the observation
 */
export function watchEventLoop(observe: (delay: number, sinceLast: number) => void): () => void {
  let last = performance.now()
  const timer = setTimeout(() => {
    const now = performance.now()
    // Timers use a clock of whole milliseconds, which may be ahead of `performance.now()`.
    observe(Math.max(0, now - last - PERIOD_MS), now - last)
    last = now
    timer.refresh()
  }, PERIOD_MS)
  timer.unref()
  return () => clearTimeout(timer)
}
