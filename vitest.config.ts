import { defineConfig } from 'vitest/config'

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    globalSetup: ['test/support/global-setup.ts'],
    // Real servers, browsers and proxies: generous, since nothing is asserted about time.
    testTimeout: 120_000,
    // They wait for the other side most of the time, so there may be more of them than cores.
    maxWorkers: 4,
    hookTimeout: 120_000,
    expect: { poll: { timeout: 30_000 } },
  },
})
