import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { defineConfig } from 'vitest/config'
import newest from './package.json' with { type: 'json' }

const root = fileURLToPath(new URL('../../..', import.meta.url))
const installed = join(root, 'node_modules/.cache/clients/newest-sdks/package.json')
const names = Object.keys(newest.dependencies)

/** The suites of `test/sdk`, with the packages of this folder in place of the project's. */
export default defineConfig({
  root,
  plugins: [
    {
      name: 'newest-sdks',
      enforce: 'pre',
      resolveId(source) {
        if (!names.some((name) => source === name || source.startsWith(`${name}/`))) return null
        return this.resolve(source, installed, { skipSelf: true })
      },
    },
  ],
  test: {
    include: ['test/sdk/*.test.ts', 'test/clients/newest-sdks/*.newest.ts'],
    testTimeout: 60_000,
    maxWorkers: 2,
    expect: { poll: { timeout: 30_000 } },
  },
})
