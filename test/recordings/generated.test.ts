import * as fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { anyStream } from './any-stream.ts'
import { checkRecording } from './check-recording.ts'
import type { Wire } from './recording.ts'
import { describeResult } from './report.ts'
import { startRig, type Rig } from './rig.ts'

describe('a generated stream, cut anywhere', () => {
  let rig: Rig
  let count = 0
  beforeAll(async () => {
    rig = await startRig([])
  })
  afterAll(() => rig.close())

  it.each<Wire>(['openai', 'anthropic'])(
    'of %s reads the same directly and through the gateway, on its own wire and on the others',
    async (wire) => {
      await fc.assert(
        fc.asyncProperty(anyStream(wire), async (stream) => {
          const recording = { id: `generated-${count++}`, ...stream }
          rig.add(recording)
          expect(describeResult(await checkRecording(rig, recording), true)).toBe(`${recording.id} ${wire} exact`)
        }),
        { numRuns: Number(process.env.STREAM_RUNS ?? 25) },
      )
    },
  )
})
