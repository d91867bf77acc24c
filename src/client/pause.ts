/** The longest timer; a longer delay fires at once. */
export const LONGEST_TIMER_MS = 2 ** 31 - 1

/** Resolves after `ms` or when `signal` is aborted; leaves no timer or listener behind. */
export async function pause(ms: number, signal: AbortSignal): Promise<void> {
  if (signal.aborted) return
  let timer: ReturnType<typeof setTimeout> | undefined
  let stop = () => {}
  await new Promise<void>((resolve) => {
    stop = resolve
    timer = setTimeout(resolve, Math.min(ms, LONGEST_TIMER_MS))
    signal.addEventListener('abort', stop)
  })
  clearTimeout(timer)
  signal.removeEventListener('abort', stop)
}
