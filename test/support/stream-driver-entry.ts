import { createDriver, type ReportActivity } from './stream-driver.ts'

/** Loaded by a page, to which the test has given `report`, or by a worker, which tells its page. */
const { report, postMessage } = globalThis as unknown as {
  report?: ReportActivity
  postMessage: (message: unknown) => void
}

Object.assign(globalThis, { driver: createDriver('', report ?? ((...activity) => postMessage(activity))) })
