import { defineConfig } from 'vitest/config'

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    globalSetup: ['test/support/global-setup.ts'],
    // Real servers, browsers and proxies: generous, since nothing is asserted about time.
    testTimeout: 60_000,
    hookTimeout: 60_000,
  },
})
