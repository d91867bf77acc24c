import type { Backplane } from '../backplane/backplane.ts'
import { Registrations } from './registrations.ts'
import { SharedBus, type SharedBusOptions } from './shared-bus.ts'
import { SharedDirectory, type SharedDirectoryOptions } from './shared-directory.ts'

export interface Node {
  readonly directory: SharedDirectory
  readonly bus: SharedBus
}

/** Makes this process a node among those that share the backplane. The caller starts its bus. */
export function connectNode(backplane: Backplane, options: SharedBusOptions & SharedDirectoryOptions): Node {
  const registrations = new Registrations(backplane)
  const bus = new SharedBus(backplane, registrations, options)
  const whenStored = (id: string) => bus.whenStored(id)
  return { bus, directory: new SharedDirectory(backplane, bus.lease, registrations, { ...options, whenStored }) }
}
