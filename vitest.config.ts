import { defineConfig } from 'vitest/config'
import { BaseSequencer, type TestSpecification } from 'vitest/node'

/** Files that take a minute or more: one of them that began last would run alone at the end. */
const LONG =
  /hostile\/(?:upstreams|callers|fuzz|secrets)|e2e\/(?:process|plugin-faults|nginx|workers)|browser\/playground/

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

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    globalSetup: ['test/support/global-setup.ts'],
    sequence: { sequencer: LongestFirst },
    // Real servers, browsers and proxies: generous, since nothing is asserted about time.
    testTimeout: 120_000,
    // They wait for the other side most of the time, so there may be more of them than cores.
    maxWorkers: 4,
    hookTimeout: 120_000,
    expect: { poll: { timeout: 30_000 } },
  },
})
