import type { HistogramCell } from './instruments.ts'

/** Often enough for a quantile over a minute, seldom enough to cost nothing. */
const PERIOD_MS = 50

/**
 * Observes again and again how late a timer fires. Counted by ourselves, for Node's own histogram has to be emptied to
 * be read over time, which only one scraper can do.
 *
 * @returns what ends it
 */
export function watchEventLoop(delay: HistogramCell): () => void {
  let due = performance.now() + PERIOD_MS
  const timer = setTimeout(() => {
    const now = performance.now()
    // The clock by which timers fire is one of whole milliseconds, and may be ahead.
    delay.observe(Math.max(0, now - due) / 1000)
    due = now + PERIOD_MS
    timer.refresh()
  }, PERIOD_MS)
  timer.unref()
  return () => clearTimeout(timer)
}
