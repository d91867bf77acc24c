import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { checkRecording } from './check-recording.ts'
import { loadRecordings } from './recording.ts'
import { describeResult } from './report.ts'
import { startRig, type Rig } from './rig.ts'

const folder = join(import.meta.dirname, '../fixtures/recordings')
const recordings = loadRecordings(folder)

describe('an answer from the provider and through the gateway', () => {
  let rig: Rig
  beforeAll(async () => {
    rig = await startRig(recordings)
  })
  afterAll(() => rig.close())

  it.concurrent.for(recordings.map((each) => [each.id, each] as const))('is the same: %s', async ([id, recording]) => {
    const result = await checkRecording(rig, recording)
    expect(describeResult(result, true)).toBe(`${id} ${recording.wire} exact`)
  })
})

describe('the index of the recordings', () => {
  it('says what is special about each', () => {
    const index = JSON.parse(readFileSync(join(folder, 'index.json'), 'utf8')) as Record<string, { special: string }>
    expect(Object.keys(index).toSorted()).toEqual(recordings.map(({ id }) => id))
    for (const { special } of Object.values(index)) expect(special).not.toBe('')
  })
})
