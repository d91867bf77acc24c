import { defineConfig } from 'vitest/config'

/** Nodes over Redis as it is run in production, which takes seconds to set up and to fail over: not part of `npm test`. */
export default defineConfig({
  test: {
    include: ['test/nodes/**/*.long.ts'],
    globalSetup: ['test/support/global-setup.ts'],
    testTimeout: 120_000,
    maxWorkers: 2,
    expect: { poll: { timeout: 30_000 } },
  },
})
