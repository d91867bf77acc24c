import type { HistogramCell } from './instruments.ts'

/** Often enough for a quantile over a minute, seldom enough to cost nothing. */
const PERIOD_MS = 50

/**
 * Observes periodically how late a timer fires. Node's own histogram must be reset to be read over time, which works
 * with a single scraper only.
 *
 * @returns a function that stops the observation
 */
export function watchEventLoop(delay: HistogramCell): () => void {
  let due = performance.now() + PERIOD_MS
  const timer = setTimeout(() => {
    const now = performance.now()
    // Timers use a clock of whole milliseconds, which may be ahead of `performance.now()`.
    delay.observe(Math.max(0, now - due) / 1000)
    due = now + PERIOD_MS
    timer.refresh()
  }, PERIOD_MS)
  timer.unref()
  return () => clearTimeout(timer)
}
