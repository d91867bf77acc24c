import { checkAcross } from './check-across.ts'
import { checkOwnWire, readDirectly } from './check-own-wire.ts'
import type { Difference } from './differences.ts'
import type { Recording, Wire } from './recording.ts'
import { modelOf, type Rig } from './rig.ts'
import { toleranceOf } from './tolerances.ts'

export interface Result {
  id: string
  wire: Wire
  /** On the recording's own wire, and in other protocols. */
  own: Difference[]
  across: Difference[]
  /** Names of the tolerances that applied. */
  tolerated: string[]
  /** How the official SDK fails on the recording itself. */
  directError?: string
}

/** Reads a recording in every way, at the server and through the gateway. */
export async function checkRecording({ direct, through }: Rig, recording: Recording): Promise<Result> {
  const { id, wire } = recording
  const model = modelOf(recording)
  const readings = await readDirectly(wire, direct, model)
  const tolerated = new Set<string>()
  const isCounted = (difference: Difference) => {
    const tolerance = toleranceOf(difference, recording)
    if (tolerance) tolerated.add(tolerance.name)
    return !tolerance
  }
  return {
    id,
    wire,
    own: (await checkOwnWire(wire, through, model, readings)).filter(isCounted),
    across: (await checkAcross(wire, through, model, readings)).filter(isCounted),
    tolerated: [...tolerated],
    ...(readings.sdk.error !== undefined && { directError: readings.sdk.error }),
  }
}

/** Checks all recordings, a few at a time, and reports each one when it is done. */
export async function checkRecordings(
  rig: Rig,
  recordings: readonly Recording[],
  onResult: (result: Result) => void = () => {},
): Promise<Result[]> {
  const results: Result[] = []
  const waiting = [...recordings]
  const work = async () => {
    for (let next = waiting.shift(); next; next = waiting.shift()) {
      const result = await checkRecording(rig, next)
      results.push(result)
      onResult(result)
    }
  }
  await Promise.all([work(), work(), work(), work()])
  return results.toSorted((a, b) => a.id.localeCompare(b.id))
}
