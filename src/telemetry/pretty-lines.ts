import { createRequire } from 'node:module'
import type pretty from 'pino-pretty'
import type { LogOutput } from './logger.ts'

/** Where lines go, and how to wait until they are written. */
export type LineOutput = Pick<LogOutput, 'write' | 'flush'>

/**
 * Passes log lines on as coloured text for people. Loads pino-pretty here, not at the top: that takes a good part of the
 * gateway's start, and only a terminal needs it.
 */
export function prettyLines(output: LineOutput): LineOutput {
  const { prettyFactory }: typeof pretty = createRequire(import.meta.url)('pino-pretty')
  const format = prettyFactory({ translateTime: 'SYS:HH:MM:ss.l', singleLine: true })
  return { write: (line) => output.write(format(line)), flush: (callback) => output.flush(callback) }
}
