import { startSluice } from '../peers/sluice.ts'
import type { PinnedProcess } from '../processes.ts'
import type { Bench } from './measure.ts'

/** A gateway of its own for one measure, gone when `use` is over. */
export async function withSluice<T>(
  { rig, dist }: Bench,
  env: Record<string, string>,
  use: (gateway: { process: PinnedProcess; port: number }) => Promise<T>,
): Promise<T> {
  await rig.load('reset')
  const gateway = await startSluice(rig.upstreamPort, { dist, env })
  try {
    return await use(gateway)
  } finally {
    await rig.load('reset')
    gateway.process.kill()
    await gateway.process.exited
  }
}
