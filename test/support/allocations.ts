import { Session } from 'node:inspector/promises'

interface SamplingNode {
  selfSize: number
  children: SamplingNode[]
}

/**
 * Bytes that `work` allocates, including garbage. Independent of the machine and its load, up to the error of sampling
 * once per kilobyte.
 */
export async function allocatedBy(work: () => unknown): Promise<number> {
  const session = new Session()
  session.connect()
  const sampling = {
    samplingInterval: 1024,
    includeObjectsCollectedByMajorGC: true,
    includeObjectsCollectedByMinorGC: true,
  }
  await session.post('HeapProfiler.startSampling', sampling)
  await work()
  const { profile } = await session.post('HeapProfiler.stopSampling')
  session.disconnect()
  return sizeOf(profile.head)
}

function sizeOf({ selfSize, children }: SamplingNode): number {
  return children.reduce((sum, child) => sum + sizeOf(child), selfSize)
}
