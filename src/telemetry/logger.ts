import { pino, type DestinationStream, type Logger } from 'pino'
import { LogOutput } from './log-output.ts'

export type { Logger }

/**
 * JSON lines on standard output. They hold digests of ids, counts, times and codes: never the text of a prompt or of a
 * completion, never a header, and of an upstream's error only its code, since its message may quote either.
 */
export function createLogger(level: string, destination: DestinationStream = standardOutput()): Logger {
  const options = {
    level,
    base: null,
    timestamp: pino.stdTimeFunctions.isoTime,
    formatters: { level: (label: string) => ({ level: label }) },
  }
  return pino(options, destination)
}

let output: LogOutput | undefined

/** One for all loggers. Not pino's own, which waits for its reader when the process ends, possibly for ever. */
function standardOutput(): LogOutput {
  if (output) return output
  // Accessing `process.stdout` makes Node set a pipe to non-blocking. In a worker thread it has no `fd`.
  const { fd }: { fd: number | undefined } = process.stdout
  const created = new LogOutput(fd ?? 1)
  process.on('exit', () => created.writeNow())
  return (output = created)
}
