import { LONGEST_TIMER_MS } from './pause.ts'

/**
 * Calls `onSilence` after `silenceMs` without a sign of life; the first period is longer by `graceMs`. Uses one timer:
 * a chunk only updates the deadline.
 */
export function watchSilence(silenceMs: number, onSilence: () => void, graceMs = 0) {
  let deadline = performance.now() + silenceMs + graceMs
  let timer: ReturnType<typeof setTimeout> | undefined
  const check = () => {
    const remaining = deadline - performance.now()
    if (remaining <= 0) onSilence()
    else timer = setTimeout(check, Math.min(remaining, silenceMs, LONGEST_TIMER_MS))
  }
  check()
  return {
    /** Reports a sign of life. */
    pat: () => {
      deadline = performance.now() + silenceMs
    },
    stop: () => clearTimeout(timer),
  }
}
