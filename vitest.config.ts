import { defineConfig } from 'vitest/config'
import { BaseSequencer, type TestSpecification } from 'vitest/node'

/** Files that take a minute or more: one of them that began last would run alone at the end. */
const LONG =
  /hostile\/(?:upstreams|callers|fuzz|secrets)|e2e\/(?:process|plugin-faults|nginx|workers)|browser\/playground|package\/|first-days\//

class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    // oxlint-disable-next-line unicorn/no-array-sort -- it is the sequencer's, and returns another list.
    const sorted = await super.sort(files)
    return [...sorted.filter(isLong), ...sorted.filter((file) => !isLong(file))]
  }
}

function isLong({ moduleId }: TestSpecification): boolean {
  return LONG.test(moduleId)
}

/** Files that a script leaves out: they have a script of their own, or need more than a pair of nodes has. */
function leftOut({ HOSTILE, TEST_STORE }: NodeJS.ProcessEnv): string[] {
  if (HOSTILE === 'full') return ['test/hostile/{fuzz,fuzz-process,soak}.test.ts']
  if (TEST_STORE?.endsWith('-pair'))
    return [
      'test/e2e/{browser-http2,event-source-tickets,http2-connections,memory-budget,overload,plugin-faults,slow-readers}.test.ts',
    ]
  return []
}

// Real servers, browsers and proxies: generous, since nothing is asserted about time.
const patience = { testTimeout: 120_000, hookTimeout: 120_000, expect: { poll: { timeout: 30_000 } } }

export default defineConfig({
  test: {
    sequence: { sequencer: LongestFirst },
    // They wait for the other side most of the time, so there may be more of them than cores.
    maxWorkers: 4,
    projects: [
      {
        test: {
          name: 'units',
          include: ['test/unit/**/*.test.ts'],
          // Loading the modules anew for each file takes a third of their time; they leave nothing behind.
          isolate: false,
          ...patience,
        },
      },
      {
        test: {
          name: 'gateway',
          include: ['test/**/*.test.ts'],
          exclude: ['test/unit/**', ...leftOut(process.env)],
          globalSetup: ['test/support/global-setup.ts'],
          ...patience,
        },
      },
    ],
  },
})
