import { onTestFinished } from 'vitest'
import { Journal } from '../../support/cutting-proxy.ts'
import type { Read, ReaderKind, Report } from './reader-kind.ts'

/** A client that runs in the process of the test. */
export function inNode(read: Read): Pick<ReaderKind, 'page' | 'open'> {
  return {
    page: async () => '',
    async open() {
      const reports = new Journal<Report>()
      const readings: (() => void)[] = []
      onTestFinished(() => {
        for (const close of readings) close()
      })
      return {
        reports,
        async read(reading, target) {
          readings[reading] = read(target, (heard) => reports.add({ ...heard, reading }))
        },
        close: async (reading) => readings[reading]!(),
      }
    },
  }
}
