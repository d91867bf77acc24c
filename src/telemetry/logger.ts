import { pino, type DestinationStream, type Logger } from 'pino'
import { LogOutput } from './log-output.ts'

export type { Logger }

/**
 * JSON lines on standard output. What is logged are digests of ids, counts, times and codes: never the text of a prompt
 * or of a completion, never a header, and of an upstream's error only its code, since its words may quote either.
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

/** One for all loggers. Not pino's own, which waits for its reader when the process ends, and if need be for ever. */
function standardOutput(): LogOutput {
  if (output) return output
  // To read `process.stdout` has Node make a pipe non-blocking. In a worker thread it has no number.
  const { fd }: { fd: number | undefined } = process.stdout
  const created = new LogOutput(fd ?? 1)
  process.on('exit', () => created.writeNow())
  return (output = created)
}
