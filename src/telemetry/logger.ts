import { pino, type DestinationStream, type Logger } from 'pino'

export type { Logger }

/**
 * JSON lines on standard output. What is logged are ids, counts, times and codes: never the text of a prompt or of a
 * completion, never a header, and of an upstream's error only its code, since its words may quote either.
 */
export function createLogger(level: string, destination?: DestinationStream): Logger {
  const options = {
    level,
    base: null,
    timestamp: pino.stdTimeFunctions.isoTime,
    formatters: { level: (label: string) => ({ level: label }) },
  }
  return destination ? pino(options, destination) : pino(options)
}
