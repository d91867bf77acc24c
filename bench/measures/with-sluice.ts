import { startSluice, type StartSluice } from '../peers/sluice.ts'
import type { PinnedProcess } from '../processes.ts'
import type { Bench } from './measure.ts'

interface Server {
  process: PinnedProcess
  port: number
}

/** A gateway of its own for one measure, gone when `use` is over. */
export function withSluice<T>(
  bench: Bench,
  options: Pick<StartSluice, 'env' | 'guarded'>,
  use: (gateway: Server) => Promise<T>,
): Promise<T> {
  const { rig, dist, node } = bench
  return withServer(bench, () => startSluice(rig.upstreamPort, { dist, node, ...options }), use)
}

/** The same for any other server. */
export async function withServer<S extends Server, T>(
  { rig }: Bench,
  start: () => Promise<S>,
  use: (server: S) => Promise<T>,
): Promise<T> {
  await rig.load('reset')
  const server = await start()
  try {
    return await use(server)
  } finally {
    await rig.load('reset')
    server.process.kill()
    await server.process.exited
  }
}
