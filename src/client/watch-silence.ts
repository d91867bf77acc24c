import { LONGEST_TIMER_MS } from './pause.ts'

/**
 * Calls `onSilence` when nothing has come for `silenceMs`; at first it allows `graceMs` more. One timer, whatever
 * comes: a chunk only notes the time.
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
    /** Something came. */
    pat: () => {
      deadline = performance.now() + silenceMs
    },
    stop: () => clearTimeout(timer),
  }
}
