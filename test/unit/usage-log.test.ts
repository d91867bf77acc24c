import { mkdir, readFile, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { ANONYMOUS, toCaller } from '../../src/access/caller.ts'
import type { Charge } from '../../src/usage/accounts.ts'
import { checkUsageLog, UsageLog } from '../../src/usage/usage-log.ts'
import { makeFolder } from '../support/process.ts'
import { streamDigest } from '../../src/telemetry/redact.ts'

const charge = (prompt_tokens: number): Charge => ({
  kind: 'stream',
  time: 0,
  caller: toCaller(ANONYMOUS, 'ada'),
  streamId: 'str_1',
  protocol: 'native',
  provider: 'p',
  model: 'm',
  finish_reason: 'stop',
  prompt_tokens,
  completion_tokens: 2,
  estimated: false,
  nanos: 1500,
  duration_ms: 3,
})

async function start(options: { path?: string; limit?: number } = {}) {
  const { path = join(await makeFolder(), 'usage.jsonl'), limit } = options
  const seen = { dropped: 0, changes: [] as boolean[] }
  const observer = {
    dropped: (lines: number) => void (seen.dropped += lines),
    changed: (error: unknown) => void seen.changes.push(error === undefined),
  }
  const log = new UsageLog(path, observer, limit === undefined ? {} : { limit })
  const tokens = async (file = path) =>
    (await readFile(file, 'utf8'))
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => JSON.parse(line).prompt_tokens)
  return { log, path, seen, tokens }
}

it('writes one line for each charge, with the user, and nothing that opens a stream', async () => {
  const { log, path } = await start()
  log.add(charge(7))
  await log.close()
  expect(await readFile(path, 'utf8')).toBe(
    `${JSON.stringify({
      time: '1970-01-01T00:00:00.000Z',
      caller: 'anonymous',
      user: 'ada',
      kind: 'stream',
      stream: streamDigest('str_1'),
      protocol: 'native',
      provider: 'p',
      model: 'm',
      finish_reason: 'stop',
      prompt_tokens: 7,
      completion_tokens: 2,
      duration_ms: 3,
      cost: 0.0000015,
    })}\n`,
  )
})

it('goes on in a new file when the old one has been renamed', async () => {
  const { log, path, tokens } = await start()
  for (let i = 0; i < 100; i++) log.add(charge(i))
  await log.close()
  await rename(path, `${path}.1`)
  log.add(charge(100))
  await log.close()
  expect(await tokens(`${path}.1`)).toEqual(Array.from({ length: 100 }, (_, i) => i))
  expect(await tokens()).toEqual([100])
})

it('keeps lines that cannot be written, and writes them once, in order, when they can', async () => {
  const { log, path, seen, tokens } = await start()
  // A folder in its place.
  await mkdir(path)
  log.add(charge(1))
  log.add(charge(2))
  await expect.poll(() => seen.changes).toEqual([false])
  log.add(charge(3))
  await rm(path, { recursive: true })
  await expect.poll(() => seen.changes).toEqual([false, true])
  expect(await tokens()).toEqual([1, 2, 3])
  expect(seen.dropped).toBe(0)
})

it('drops lines beyond its limit, and counts them', async () => {
  const folder = await makeFolder()
  const { log, seen } = await start({ path: folder, limit: 1000 })
  for (let i = 0; i < 100; i++) log.add(charge(i))
  const kept = 100 - seen.dropped
  expect(kept).toBeGreaterThan(1)
  expect(kept).toBeLessThan(6)
  await log.close()
  expect(seen.dropped).toBe(100)
})

it('counts what a full disk has lost, byte for byte', async () => {
  // Each write to it fails as on a full disk.
  const { log, seen } = await start({ path: '/dev/full' })
  for (let i = 0; i < 3; i++) log.add(charge(i))
  await expect.poll(() => seen.changes).toEqual([false])
  expect(seen.dropped).toBe(0)
  await log.close()
  expect(seen.dropped).toBe(3)
})

it('is checked at the start', async () => {
  await expect(checkUsageLog(join(await makeFolder(), 'no', 'such', 'folder'))).rejects.toThrow('ENOENT')
  await checkUsageLog('-')
})
