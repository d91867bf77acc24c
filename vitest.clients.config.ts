import { defineConfig } from 'vitest/config'

/** SSE clients of other languages, which are built first: not part of `npm test`. */
export default defineConfig({
  test: {
    include: ['test/clients/**/*.clients.ts'],
    globalSetup: ['test/clients/global-setup.ts'],
    testTimeout: 60_000,
    maxWorkers: 3,
    expect: { poll: { timeout: 30_000 } },
  },
})
