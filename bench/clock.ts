const origin = Number(process.hrtime.bigint()) / 1e6 - performance.now()

/** Milliseconds since the machine started: the same in all processes, whenever they started. */
export function now(): number {
  return origin + performance.now()
}
