import { execFile } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { describeIn, LANGUAGES, SOURCES } from './languages.ts'

// The suites of `test/sdk` once more, run by a newer Node with SDKs that the oldest supported Node cannot run.

const config = join(SOURCES, 'newest-sdks/vitest.config.ts')
const vitest = resolve(createRequire(import.meta.url).resolve('vitest/package.json'), '../vitest.mjs')
const suites = [
  ...readdirSync(resolve(SOURCES, '../sdk')).filter((name) => name.endsWith('.test.ts')),
  ...readdirSync(join(SOURCES, 'newest-sdks')).filter((name) => name.endsWith('.newest.ts')),
]

interface Report {
  testResults: { name: string; message: string; assertionResults: Result[] }[]
}

interface Result {
  fullName: string
  status: string
  failureMessages: string[]
}

describeIn('newest-sdks', () => {
  let report: Report
  let folder: string

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'newest-sdks-'))
    const file = join(folder, 'report.json')
    const said = await run(['run', '--config', config, '--reporter=json', `--outputFile=${file}`])
    try {
      report = JSON.parse(readFileSync(file, 'utf8'))
    } catch (error) {
      throw new Error(`No report:\n${said}`, { cause: error })
    }
  }, 300_000)
  afterAll(() => rm(folder, { recursive: true }))

  it.each(suites)('%s passes', (name) => {
    const suite = report.testResults.find((each) => each.name.endsWith(`/${name}`))
    expect(suite?.message).toBe('')
    const failed = suite!.assertionResults.filter(({ status }) => status !== 'passed')
    expect(failed.map(({ fullName, failureMessages }) => [fullName, ...failureMessages])).toStrictEqual([])
    expect(suite!.assertionResults).not.toHaveLength(0)
  })
})

/** Resolves with all that it prints, whether its tests pass or not. */
function run(args: readonly string[]): Promise<string> {
  const { VITEST: _, ...environment } = process.env
  const options = { env: environment, timeout: 280_000, maxBuffer: 64 * 1024 * 1024 }
  return new Promise((done) => {
    execFile(LANGUAGES['newest-sdks'].run[0], [vitest, ...args], options, (_error, stdout, stderr) =>
      done(stdout + stderr),
    )
  })
}
